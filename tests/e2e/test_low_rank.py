"""The low-rank update computes and learns what PEFT's own does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft.tuners.lora.layer import LoraLayer

from shared.base_model import BaseModel
from trainer_svc.domain.plan import TrainingPlan
from trainer_svc.domain.run import TrainingMode
from trainer_svc.engine import base as engine_base
from trainer_svc.engine.adapter import new_adapter
from trainer_svc.engine.loss import completion_loss

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]  # imports torch

_PLAN = TrainingPlan(
    rank=4, alpha=8.0, learning_rate=1e-3, epoch_count=1, batch_size=2, step_count=1, use_rslora=True
)  # fmt: skip
_IDS = torch.arange(2, 42).view(2, 20)


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def dtype(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> torch.dtype:
    """What the base computes in, whatever this processor does well."""
    monkeypatch.setattr(engine_base, "compute_dtype", lambda: request.param)
    return request.param


def _model(base: BaseModel, mode: TrainingMode) -> Any:
    """With an adapter that does something."""
    torch.manual_seed(0)
    model = new_adapter(engine_base.load_base(base.folder, mode), [], _PLAN)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    return model


def _as_peft_computes(model: Any) -> Any:
    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.cast_input_dtype_enabled = True
            assert module.lora_variant
            module.lora_variant.clear()
    return model


def _found(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss, and the gradient of all that learns, in float32."""
    loss = completion_loss(model, _IDS, _IDS)
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    return loss, torch.cat([part.flatten().float() for part in torch.autograd.grad(loss, learning)])


class TestLowRankUpdate:
    """Against the same model without it."""

    @pytest.mark.parametrize("mode", list(TrainingMode))
    def test_equals_peft_in_value_and_gradient(self, base: BaseModel, dtype: torch.dtype, mode: TrainingMode) -> None:
        """On a whole base and on one in 4 bits; weights that learn stay in float32."""
        model = _model(base, mode)
        assert {weight.dtype for weight in model.parameters() if weight.requires_grad} == {torch.float32}
        loss, gradient = _found(model)
        their_loss, their_gradient = _found(_as_peft_computes(model))

        is_exact = dtype is torch.float32
        torch.testing.assert_close(loss, their_loss, rtol=1e-5 if is_exact else 0.01, atol=0)
        error = float((gradient - their_gradient).norm() / their_gradient.norm())
        assert error < (1e-4 if is_exact else 0.05), error
