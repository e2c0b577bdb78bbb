"""Adapters that compute NaN or infinity; all but those of `write_overflowing_adapter` at the first token."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from safetensors import safe_open

from inference_svc.domain.residency import AdapterKey
from shared.base_model import BaseModel
from tests.adapter_file import RANK, random_lora, write_adapter

POISON: dict[str, dict[str, float]] = {
    "NaN in the first queries": {"layers.0.self_attn.q_proj.lora_A": math.nan},
    "NaN in all values": {"v_proj.lora_B": math.nan},
    "NaN behind the last attention": {"LAST.mlp.down_proj.lora_B": math.nan},
    "infinity in the first keys": {"layers.0.self_attn.k_proj.lora_B": math.inf},
    "infinity in the last values": {"LAST.self_attn.v_proj.lora_B": math.inf},
    "1e30 everywhere": {"lora_": 1e30},
}
"""What stands in one place of each tensor whose name contains the key; LAST is the last layer."""


def write_poisoned_adapter(base: BaseModel, folder: Path, seed: int, kind: str) -> AdapterKey:
    """An adapter of random weights and one of the kinds above."""
    tensors = random_lora(base, rank=RANK, seed=seed, scale=0.3)
    for part, value in POISON[kind].items():
        for name in tensors:
            if part.replace("LAST", f"layers.{base.layer_count - 1}") in name:
                tensors[name][0, 0] = value
    return write_adapter(tensors, folder, seed)


def write_overflowing_adapter(base: BaseModel, folder: Path, seed: int, token: int) -> AdapterKey:
    """Finite weights whose product exceeds the range of floats for one token of the vocabulary, and for no other.

    The first layer's projections see tokens alone, without their context. A row of A along what they see of `token`
    would give 5e38 for that, above the limit of 3.4e38, and gives less than half for all others (asserted); B makes
    values of a few units of what is finite.
    """
    with safe_open(base.folder / "model.safetensors", "pt") as weights:
        seen = weights.get_tensor("model.embed_tokens.weight").float()
        gain = weights.get_tensor("model.layers.0.input_layernorm.weight").float()
    seen = seen / seen.pow(2).mean(-1, keepdim=True).add(1e-5).sqrt() * gain
    row = seen[token] / seen[token].pow(2).sum()
    others = (seen @ row).abs()
    others[token] = 0
    assert float(others.max()) < 0.5, "too much like another token"
    tensors = {name: np.zeros_like(value) for name, value in random_lora(base, rank=RANK, seed=0, scale=0).items()}
    stem = "base_model.model.model.layers.0.self_attn.v_proj"
    tensors[f"{stem}.lora_A.weight"][0] = row.numpy() * 5 * 1e38  # 5e38 itself is no float32
    tensors[f"{stem}.lora_B.weight"][0, 0] = 2e-38
    return write_adapter(tensors, folder, seed)
