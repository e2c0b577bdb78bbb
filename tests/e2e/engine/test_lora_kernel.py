"""LoRA on CPU against the stock operations."""

from __future__ import annotations

import pytest
import torch

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own imports warn
]


class TestGroupedKernel:
    """The grouped LoRA kernel against vLLM's stock one."""

    @pytest.mark.parametrize("rank", [8, 16, 64])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_equals_the_stock_operations(self, rank: int, dtype: torch.dtype) -> None:
        """Same result for mixed batches, rows without an adapter, and adapters in any order."""
        from vllm.lora.ops.torch_ops import bgmv_expand_slice, bgmv_shrink

        from inference_svc.engine.lora_kernel import GroupedPunicaWrapper, group_rows

        torch.manual_seed(0)
        slots = torch.tensor([1, -1, 0, 1, 1, 2, -1, 0, 0])
        x = torch.randn(len(slots), 48).to(dtype)
        a, b = torch.randn(3, 1, rank, 48).to(dtype), torch.randn(3, 1, 32, rank).to(dtype)
        wrapper = GroupedPunicaWrapper.__new__(GroupedPunicaWrapper)
        wrapper._groups = group_rows(slots)
        ours, theirs = torch.zeros(len(slots), rank), torch.zeros(len(slots), rank)
        wrapper._apply_shrink(ours, x, a, 0.5)
        active = slots >= 0
        shrunk = torch.zeros(int(active.sum()), rank)
        bgmv_shrink(x[active], a, shrunk, slots[active], 0.5)
        theirs[active] = shrunk
        out_ours, out_theirs = torch.zeros(len(slots), 40).to(dtype), torch.zeros(len(slots), 40).to(dtype)
        wrapper._apply_expand(out_ours, theirs, b, 4, 32)
        expanded = out_theirs[active]
        bgmv_expand_slice(theirs[active], b, expanded, slots[active], 4, 32)
        out_theirs[active] = expanded

        torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=2e-2)
        torch.testing.assert_close(out_ours, out_theirs, rtol=2e-2, atol=2e-2)
