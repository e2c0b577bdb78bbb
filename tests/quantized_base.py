"""What an evaluation in the middle of a QLoRA training does to it."""

from __future__ import annotations

from typing import Any

import bitsandbytes
import torch
from torch.nn import functional

from trainer_svc.engine.loss import completion_loss


def stored_weights(model: Any) -> list[torch.Tensor]:  # a transformers model
    """Copies of the packed 4-bit weights."""
    layers = [module for module in model.modules() if isinstance(module, bitsandbytes.nn.Linear4bit)]
    assert layers, "the base is not quantised"
    return [layer.weight.data.clone().flatten() for layer in layers]


def state_of(model: Any) -> dict[str, torch.Tensor]:  # a transformers model
    """Copies of all that is frozen: packed weights with their scales, embeddings, norms, buffers."""
    state = {name: tensor.detach().clone() for name, tensor in model.named_buffers()}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            continue
        state[name] = weight.detach().clone()
        quantized = getattr(weight, "quant_state", None)
        if quantized is not None:
            parts = quantized.as_dict(packed=True)
            state |= {f"{name}.{part}": tensor.clone() for part, tensor in parts.items() if tensor is not None}
    return state


def changed_names(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> list[str]:
    """Of tensors that came, went, or are no longer the same in every bit."""
    return sorted(
        name
        for name in before.keys() | after.keys()
        if name not in before or name not in after or not _is_same(before[name], after[name])
    )


def _is_same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.equal(one.contiguous().flatten().view(torch.uint8), other.contiguous().flatten().view(torch.uint8))


def changed_share(before: list[torch.Tensor], after: list[torch.Tensor]) -> float:
    """Greatest share of a weight's bytes that differ."""
    return max(float((a != b).float().mean()) for a, b in zip(before, after, strict=True))


def gradient(model: Any, ids: torch.Tensor, labels: torch.Tensor, weights: list[torch.Tensor]) -> torch.Tensor:
    """Of the training loss, by these weights, as one vector."""
    model.train()
    model.zero_grad()
    completion_loss(model, ids, labels).backward()
    return torch.cat([weight.grad.flatten().float() for weight in weights if weight.grad is not None]).clone()


def cosine(first: torch.Tensor, second: torch.Tensor) -> float:
    """Of the angle between two gradients."""
    return float(functional.cosine_similarity(first, second, dim=0))
