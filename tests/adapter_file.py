"""Adapters of random weights, named and shaped as PEFT saves them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from inference_svc.domain.residency import AdapterKey
from shared.adapter.package import CONFIG_NAME, WEIGHTS_NAME
from shared.adapter.validate import TARGET_MODULES
from shared.base_model import BaseModel

_RANK = 16
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


def write_random_adapter(
    base: BaseModel, folder: Path, seed: int, scale: float = 0.3, spoilt: Mapping[str, float] | None = None
) -> AdapterKey:
    """An adapter that wrecks the model: large random weights in every projection.

    `spoilt` puts a value into one place of every tensor whose name contains the key.
    """
    tensors = random_lora(base, rank=_RANK, seed=seed, scale=scale)
    for part, value in (spoilt or {}).items():
        for name in tensors:
            if part in name:
                tensors[name][0, 0] = value
    return _write(tensors, folder, seed)


def write_overflowing_adapter(base: BaseModel, folder: Path, seed: int, token: int) -> AdapterKey:
    """Finite weights whose product exceeds the range of bf16 for one token of the vocabulary, and for no other.

    The values of the first layer see tokens alone, without their context. A row of A along what it sees of `token`
    gives 1 for that and less than 0.7 for all others (asserted), which B and the scale of 2 bring above 3.4e38 and leave
    below.
    """
    with safe_open(base.folder / "model.safetensors", "pt") as weights:
        seen = weights.get_tensor("model.embed_tokens.weight").float()
        gain = weights.get_tensor("model.layers.0.input_layernorm.weight").float()
    seen = seen / seen.pow(2).mean(-1, keepdim=True).add(1e-6).sqrt() * gain
    row = seen[token] / seen[token].pow(2).sum()
    others = (seen @ row).abs()
    others[token] = 0
    assert float(others.max()) < 0.7, "too much like another token"
    tensors = {name: np.zeros_like(value) for name, value in random_lora(base, rank=_RANK, seed=0, scale=0).items()}
    stem = "base_model.model.model.layers.0.self_attn.v_proj"
    tensors[f"{stem}.lora_A.weight"][0] = row.numpy()
    tensors[f"{stem}.lora_B.weight"][:, 0] = 2.2e38
    return _write(tensors, folder, seed)


def _write(tensors: dict[str, np.ndarray], folder: Path, seed: int) -> AdapterKey:
    folder.mkdir(parents=True)
    save_file(tensors, folder / WEIGHTS_NAME)
    config = {"peft_type": "LORA", "r": _RANK, "lora_alpha": 32, "target_modules": list(TARGET_MODULES), "bias": "none"}
    (folder / CONFIG_NAME).write_text(json.dumps(config))
    return AdapterKey(f"acme/{folder.name}@{seed}", str(folder))
