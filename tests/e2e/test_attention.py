"""Attention of short rows computes what transformers' own does."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import LlamaForCausalLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from shared.base_model import BaseModel
from trainer_svc.domain.plan import TrainingPlan
from trainer_svc.engine import attention as attending
from trainer_svc.engine.adapter import new_adapter
from trainer_svc.engine.attention import MOST_TOKENS, attention

pytestmark = pytest.mark.engine  # imports torch

_ROWS, _HEADS, _TOKENS, _SIZE = 2, 4, 19, 16


def _inputs(groups: int = 1, tokens: int = _TOKENS, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    """Queries, keys and values as models make them: heads behind tokens in memory."""
    generator = torch.Generator().manual_seed(tokens)
    heads = (_HEADS, _HEADS // groups, _HEADS // groups)
    drawn = [torch.randn(_ROWS, tokens, count, _SIZE, generator=generator) for count in heads]
    return [part.to(dtype).transpose(1, 2).requires_grad_() for part in drawn]


def _found(attend: Any, inputs: Sequence[torch.Tensor], mask: torch.Tensor | None = None, **kwargs: Any) -> Any:
    """What comes out, and the inputs' gradients."""
    groups = inputs[0].shape[1] // inputs[1].shape[1]
    module = SimpleNamespace(is_causal=True, num_key_value_groups=groups, training=True)
    out = attend(module, *inputs, mask, **kwargs)[0]
    weights = torch.linspace(-1, 1, out.numel()).view(out.shape)
    return [out, *torch.autograd.grad((out.float() * weights).sum(), inputs)]


def _error(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


@pytest.fixture
def passed_on(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tokens of each call that is left to transformers."""
    seen: list[int] = []

    def note(module: Any, query: torch.Tensor, *rest: Any, **kwargs: Any) -> Any:
        seen.append(query.shape[2])
        return sdpa_attention_forward(module, query, *rest, **kwargs)

    monkeypatch.setattr(attending, "sdpa_attention_forward", note)
    return seen


class TestAttention:
    """Against `sdpa_attention_forward`."""

    @pytest.mark.parametrize("groups", [1, 2, 4])
    @pytest.mark.parametrize("scaling", [None, 0.3])
    def test_equals_transformers_in_value_and_gradient(
        self, groups: int, scaling: float | None, passed_on: list[int]
    ) -> None:
        """Also where several heads share keys and values."""
        inputs = _inputs(groups)

        torch.testing.assert_close(
            _found(attention, inputs, scaling=scaling), _found(sdpa_attention_forward, inputs, scaling=scaling)
        )
        assert passed_on == []

    @pytest.mark.parametrize(("spread", "offset"), [(1.0, 0.0), (10.0, 0.0), (30.0, 0.0), (1.0, 5.0)])
    def test_rounds_in_bfloat16_as_transformers_does(self, spread: float, offset: float) -> None:
        """Against float32, also for scores of hundreds, or all near a hundred, as keys with a bias have them."""
        parts = _inputs(tokens=200)
        drawn = [parts[0] * spread + offset, parts[1] + offset, parts[2]]
        rounded = [part.detach().to(torch.bfloat16).requires_grad_() for part in drawn]
        exact = _found(sdpa_attention_forward, [part.detach().float().requires_grad_() for part in rounded])
        ours, theirs = (
            [_error(one.detach().float(), other.detach()) for one, other in zip(found, exact, strict=True)]
            for found in (_found(attend, rounded) for attend in (attention, sdpa_attention_forward))
        )
        assert all(one < 1.5 * other for one, other in zip(ours, theirs, strict=True)), (ours, theirs)

    @pytest.mark.parametrize(
        ("tokens", "mask", "kwargs"),
        [
            (MOST_TOKENS + 1, None, {}),
            (_TOKENS, torch.ones(_ROWS, 1, _TOKENS, _TOKENS, dtype=torch.bool).tril(), {}),
            (_TOKENS, None, {"is_causal": False}),
            (_TOKENS, None, {"position_bias": torch.zeros(1, _HEADS, _TOKENS, _TOKENS)}),
        ],
        ids=["long", "masked", "not causal", "biased"],
    )
    def test_what_it_does_not_know_is_left_to_transformers(
        self, tokens: int, mask: torch.Tensor | None, kwargs: dict[str, Any], passed_on: list[int]
    ) -> None:
        """Long rows, masks, attention to later tokens, biases."""
        inputs = _inputs(tokens=tokens)

        torch.testing.assert_close(
            _found(attention, inputs, mask, **kwargs), _found(sdpa_attention_forward, inputs, mask, **kwargs)
        )
        assert passed_on == [tokens]

    def test_a_model_that_is_trained_attends_this_way(self, base: BaseModel, passed_on: list[int]) -> None:
        """In all its layers, with the same logits as before; rows that are too long go to transformers."""
        model = LlamaForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
        ids = torch.arange(2, 42).view(2, 20)
        before = model(input_ids=ids).logits
        plan = TrainingPlan(rank=4, alpha=8.0, learning_rate=1e-3, epoch_count=1, batch_size=2, step_count=1)
        trained = new_adapter(model, [], plan)

        torch.testing.assert_close(trained(input_ids=ids).logits, before)
        assert passed_on == []
        trained(input_ids=torch.ones(1, MOST_TOKENS + 1, dtype=torch.long))
        assert passed_on == [MOST_TOKENS + 1] * model.config.num_hidden_layers
