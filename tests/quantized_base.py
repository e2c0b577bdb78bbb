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


def changed_share(before: list[torch.Tensor], after: list[torch.Tensor]) -> float:
    """Greatest share of a weight's bytes that differ."""
    return max(float((a != b).float().mean()) for a, b in zip(before, after, strict=True))


def gradient(model: Any, ids: torch.Tensor, labels: torch.Tensor, weights: list[torch.Tensor]) -> torch.Tensor:
    """Of the training loss, by these weights, as one vector."""
    model.train()
    model.zero_grad()
    completion_loss(model, ids, torch.ones_like(ids), labels).backward()
    return torch.cat([weight.grad.flatten().float() for weight in weights if weight.grad is not None]).clone()


def cosine(first: torch.Tensor, second: torch.Tensor) -> float:
    """Of the angle between two gradients."""
    return float(functional.cosine_similarity(first, second, dim=0))
