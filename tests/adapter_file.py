"""Adapters of random weights, named and shaped as PEFT saves them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from inference_svc.domain.residency import AdapterKey
from shared.adapter.manifest import AdapterManifest, Canary
from shared.adapter.package import CONFIG_NAME, WEIGHTS_NAME, write_package
from shared.adapter.validate import TARGET_MODULES
from shared.base_model import BaseModel
from shared.contracts.spec import ContractSpec

RANK = 16
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


def write_random_package(
    base: BaseModel, folder: Path, *, rank: int, seed: int, prompt_digest: str, contract: str, spec: ContractSpec,
    canaries: tuple[Canary, ...] = (), instruction_tokens: int = 900, output_tokens_saved: float = 0.0,
) -> str:  # fmt: skip
    """A sound package, as the trainer makes it, of weights that hardly change the model; returns its digest."""
    with tempfile.TemporaryDirectory() as name:
        weights, config = Path(name, "weights"), Path(name, "config")
        save_file(random_lora(base, rank=rank, seed=seed, scale=0.02), weights)
        settings = {
            "peft_type": "LORA",
            "base_model_name_or_path": base.model_id,
            "r": rank,
            "lora_alpha": 2 * rank,
            "target_modules": list(TARGET_MODULES),
            "use_rslora": False,
        }
        config.write_text(json.dumps(settings))
        manifest = AdapterManifest(
            base_model_id=base.model_id,
            base_model_digest=base.digest,
            prompt_digest=prompt_digest,
            contract_name=contract,
            contract=spec,
            rank=rank,
            alpha=2.0 * rank,
            target_modules=TARGET_MODULES,
            dataset_digest=f"sha256:{seed:064x}",
            canaries=canaries,
            instruction_prompt_tokens=instruction_tokens,
            output_tokens_saved=output_tokens_saved,
        )
        return write_package(folder, manifest, {WEIGHTS_NAME: weights, CONFIG_NAME: config}).digest


def write_random_adapter(base: BaseModel, folder: Path, seed: int, scale: float = 0.3) -> AdapterKey:
    """An adapter that wrecks the model: large random weights in every projection."""
    return write_adapter(random_lora(base, rank=RANK, seed=seed, scale=scale), folder, seed)


def write_adapter(tensors: dict[str, np.ndarray], folder: Path, seed: int) -> AdapterKey:
    """An adapter of these weights and rank `RANK`, scaled by 2, as an engine reads it."""
    folder.mkdir(parents=True)
    save_file(tensors, folder / WEIGHTS_NAME)
    config = {
        "peft_type": "LORA",
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "target_modules": list(TARGET_MODULES),
        "bias": "none",
    }
    (folder / CONFIG_NAME).write_text(json.dumps(config))
    return AdapterKey(f"acme/{folder.name}@{seed}", str(folder))
