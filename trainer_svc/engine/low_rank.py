"""PEFT's low-rank update in the base's type and in fewer passes, which is where a small base spends its time."""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora.layer import LoraLayer, LoraVariant
from torch.nn import functional


class LowRankUpdate(LoraVariant):
    """`result + scaling * B A x`, its last product, scaling and sum in one call.

    PEFT casts the activations to the type of the adapter's weights, float32, and scales and adds in passes of their
    own. Here the weights, which are small, are cast to the activations' type, as those that are served are; what
    learns, and what the optimizer keeps, stays float32.
    """

    @staticmethod
    def forward(
        module: LoraLayer, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **kwargs: Any
    ) -> torch.Tensor:
        """The layer's output; same shape and type as `result`."""
        matrices: Any = (module.lora_A[active_adapter].weight, module.lora_B[active_adapter].weight)
        down, up = (matrix.to(x.dtype) for matrix in matrices)
        low = functional.linear(x, down).flatten(0, -2)
        whole = torch.addmm(result.flatten(0, -2), low, up.t(), alpha=module.scaling[active_adapter])
        return whole.view(result.shape)


def use_low_rank_update(model: Any) -> None:  # a PEFT model, whose adapters have no dropout
    """Has the model's LoRA layers compute as `LowRankUpdate` says; what they learn and how it is saved stays."""
    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.cast_input_dtype_enabled = False
            module.lora_variant.update(dict.fromkeys(module.lora_A, LowRankUpdate()))
