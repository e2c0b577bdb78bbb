"""What a run is made of: what its manifest names beside the settings, so that the same bytes can be made again."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import sqlite3
from pathlib import Path

import torch

from shared.digest import hex_part, sha256_bytes, sha256_file
from trainer_svc.domain.recipe import RECIPE_VERSION
from trainer_svc.domain.run import RunSpec
from trainer_svc.domain.servability import ServabilityMode
from trainer_svc.engine.base import best_device, compute_dtype, dtype_of
from trainer_svc.engine.preparation import Prepared

_TRAINING = (
    "goldsmith",
    "torch",
    "transformers",
    "peft",
    "bitsandbytes",
    "accelerate",
    "tokenizers",
    "safetensors",
    "jinja2",
)
_CHOOSING = ("numpy", "scipy", "datasketch", "rapidfuzz", "outlines_core", "llguidance", "sqlglot")
"""They have a part in which rows are set aside, and in the answers by which the adapter to keep is chosen. Not every
installation has all of them: a kind of contract may need one that others do without."""
_PACKAGES = ("shared", "trainer_svc")
_ROOT = Path(__file__).resolve().parents[2]


def provenance(ready: Prepared) -> dict[str, str | int]:
    """By the manifest's names; the same in every attempt of a run on one machine and version of the trainer."""
    made: dict[str, str | int] = {"recipe_version": RECIPE_VERSION, "split_seed": ready.spec.split_seed}
    made["code_digest"] = code_digest()
    return {**made, **ready.row_digests, **_texts(ready.spec), **_proof(ready.spec), **_versions(), **_machine()}


def code_digest() -> str:
    """Digest of this service's sources, in a form that a shell can check.

    That of `find shared trainer_svc -name '*.py' | LC_ALL=C sort | xargs sha256sum | sha256sum`, where both are.
    """
    paths = (path for package in _PACKAGES for path in (_ROOT / package).rglob("*.py"))
    named = sorted((path.relative_to(_ROOT).as_posix(), path) for path in paths)
    lines = (f"{hex_part(sha256_file(path))}  {name}\n" for name, path in named)
    return sha256_bytes("".join(lines).encode())


def _proof(spec: RunSpec) -> dict[str, str | int]:
    """What the adapter was shown to before it was published."""
    proof: dict[str, str | int] = {
        "servability_proof": spec.servability_proof.value,
        "max_lora_rank": spec.max_lora_rank,
        "served_dtype": str(dtype_of(spec.served_type)),
        "served_context_tokens": spec.served_context_tokens,
    }
    if spec.servability_proof is ServabilityMode.VLLM:
        proof["vllm_version"] = vllm_version()
    return proof


def vllm_version() -> str:
    """Of the vLLM that is installed here; that for CPUs has another name."""
    distribution, *_ = importlib.metadata.packages_distributions()["vllm"]
    return importlib.metadata.version(distribution)


def _texts(spec: RunSpec) -> dict[str, str]:
    """What scores and saved tokens were measured with, where the dataset has it; no digest of its rows covers it."""
    texts = {"database_digest": spec.database_sql, "instruction_prompt_digest": spec.instruction_prompt}
    return {name: sha256_bytes(text.encode()) for name, text in texts.items() if text}


def _versions() -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in _TRAINING}
    for name in _CHOOSING:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # then it had no part
            found[name] = importlib.metadata.version(name)
    versions = {f"{name}_version": version for name, version in found.items()}
    return {**versions, "python_version": platform.python_version(), "sqlite_version": sqlite3.sqlite_version}


def _machine() -> dict[str, str]:
    """What the same inputs give the same bytes on: with other instructions sums are added up in another order."""
    device = best_device()
    chip = torch.cuda.get_device_name() if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    return {"machine": platform.machine(), "device": device.type, "chip": chip, "dtype": str(compute_dtype())}
