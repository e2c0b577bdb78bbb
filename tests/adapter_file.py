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
from shared.architecture import architecture_of
from shared.base_model import BaseModel
from shared.contracts.spec import ContractSpec

RANK = 16


def random_lora(base: BaseModel, *, rank: int, seed: int, scale: float) -> dict[str, np.ndarray]:
    """Normal weights of the given scale in every projection of a base."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, (out, inner) in base.projection_shapes(base.architecture.target_modules).items():
        stem = f"base_model.model.{name}"
        tensors[f"{stem}.lora_A.weight"] = rng.normal(0, scale, (rank, inner)).astype(np.float32)
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
            "target_modules": list(base.architecture.target_modules),
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
            target_modules=base.architecture.target_modules,
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
        "target_modules": list(architecture_of("llama").target_modules),
        "bias": "none",
    }
    (folder / CONFIG_NAME).write_text(json.dumps(config))
    return AdapterKey(f"acme/{folder.name}@{seed}", str(folder))
