"""Adapter weights for tests, named and shaped as PEFT saves them."""

from __future__ import annotations

import numpy as np

from shared.adapter.validate import TARGET_MODULES
from shared.base_model import BaseModel

_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


def random_lora(base: BaseModel, *, rank: int, seed: int, scale: float) -> dict[str, np.ndarray]:
    """Normal weights of the given scale in every projection of a base whose key and query heads are equal in number."""
    rng = np.random.default_rng(seed)
    hidden, inner = base.hidden_size, base.intermediate_size
    shapes = dict.fromkeys(TARGET_MODULES, (hidden, hidden))
    shapes |= {"gate_proj": (inner, hidden), "up_proj": (inner, hidden), "down_proj": (hidden, inner)}
    tensors = {}
    for layer in range(base.layer_count):
        for module, (out, columns) in shapes.items():
            block = "self_attn" if module in _ATTENTION else "mlp"
            stem = f"base_model.model.model.layers.{layer}.{block}.{module}"
            tensors[f"{stem}.lora_A.weight"] = rng.normal(0, scale, (rank, columns)).astype(np.float32)
            tensors[f"{stem}.lora_B.weight"] = rng.normal(0, scale, (out, rank)).astype(np.float32)
    return tensors
