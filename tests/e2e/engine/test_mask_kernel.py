"""Masks on CPU against the stock kernel."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore"),  # vLLM's own imports warn
]
ROWS, TOKENS = 7, 320


def step(order: list[int], bits: np.ndarray) -> tuple[SimpleNamespace, SimpleNamespace, SimpleNamespace]:
    """What vLLM hands over in a step: request `r3` stands in row 3 of the logits, `order` is that of the masks."""
    names = [f"r{row}" for row in range(ROWS)]
    grammars = SimpleNamespace(structured_output_request_ids=[f"r{row}" for row in order], grammar_bitmask=bits)
    return SimpleNamespace(scheduled_spec_decode_tokens={}), grammars, SimpleNamespace(req_ids=names)


class TestMaskKernel:
    """Setting the logits of banned tokens to -inf."""

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    @pytest.mark.parametrize("order", [[*range(ROWS)], [3, 0, 6], [*reversed(range(ROWS))], [2, 9, 5]])
    @pytest.mark.parametrize("width", [TOKENS, TOKENS - 5, TOKENS + 40])
    def test_equals_the_stock_function(self, dtype: torch.dtype, order: list[int], width: int) -> None:
        """Bit for bit, whichever rows have a mask: also odd logits, requests that left, and a padded vocabulary."""
        from vllm.v1.structured_output import utils

        from inference_svc.engine.mask_kernel import masking

        stock = getattr(utils.apply_grammar_bitmask, "stock", utils.apply_grammar_bitmask)
        rng = np.random.default_rng(len(order) + width)
        bits = rng.integers(-(2**31), 2**31 - 1, (len(order), TOKENS // 32), dtype=np.int32)
        logits = torch.from_numpy(rng.normal(0, 5, (ROWS, width)).astype(np.float32))
        logits[:, 3], logits[:, 4], logits[:, 5] = torch.nan, torch.inf, -torch.inf
        ours, theirs = logits.to(dtype), logits.to(dtype)

        masking(stock)(*step(order, bits), ours)
        stock(*step(order, bits), theirs)

        torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)

    def test_leaves_what_it_does_not_know_to_the_stock_function(self) -> None:
        """Logits of another type, and steps with drafts."""
        from inference_svc.engine.mask_kernel import masking

        calls: list[object] = []
        scheduled, grammars, batch = step([0], np.zeros((1, TOKENS // 32), np.int32))
        masked = masking(lambda *arguments: calls.append(arguments))

        masked(scheduled, grammars, batch, torch.zeros(ROWS, TOKENS, dtype=torch.float64))
        scheduled.scheduled_spec_decode_tokens["r0"] = [1]
        masked(scheduled, grammars, batch, torch.zeros(ROWS, TOKENS))

        assert len(calls) == 2
