"""Decides whether an adapter's weights are fit to serve: the same code in the trainer's proof and before every load.

vLLM 0.32 itself accepts NaN, wrong shapes, wrong ranks, foreign layers and adapters of other bases without a word, and
one NaN adapter poisons other tenants' answers; so everything is checked here first.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.adapter.manifest import AdapterManifest, Canary
from shared.adapter.package import CONFIG_NAME, WEIGHTS_NAME
from shared.adapter.tensors import read_tensors
from shared.architecture import Architecture
from shared.base_model import BaseModel
from shared.errors import StateConflict

MAX_ALPHA_OVER_RANK = 16.0
"""LoRA practice is 1 to 4; above, the scaled delta overflows bf16 long before it helps."""
MAX_CANARIES = 64
"""Each load replays them one after another; the trainer packs 6."""
MAX_DELTA_NORM = 1e4
"""Frobenius norm of one scaled delta. Trained adapters measure below 1e2; a bit-flipped exponent far above."""
_NAME = re.compile(r"base_model\.model\.model\.layers\.\d+\.(self_attn|mlp)\.[a-z_]+\.lora_(A|B)\.weight")
_MAX_CONFIG_BYTES = 64 << 10
# What adapter_config.json may say. Whatever else is set changes what is served, or is ignored by the engine, which then
# serves something else than was trained.
_ONLY: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none", None),
    "init_lora_weights": (True, False, None, "gaussian", "orthogonal"),  # all others change the base's own weights
}  # Any: JSON values
_HARMLESS = frozenset(
    {"auto_mapping", "inference_mode", "lora_dropout", "megatron_core", "peft_version", "qalora_group_size", "revision",
     "task_type"}
)  # fmt: skip
"""Options that say how it was trained, or go with another that is off."""


def validate_adapter(folder: Path, manifest: AdapterManifest, base: BaseModel, *, max_rank: int) -> None:
    """Passes exactly when the adapter in `folder` belongs to `base`, is complete, finite and of sane size.

    Cost: one pass over the weights, and one small product per target module.

    Raises:
        StateConflict: BASE_MODEL_MISMATCH for another base, ADAPTER_REJECTED naming the first fault otherwise.
    """
    if manifest.base_model_digest != base.digest:
        raise StateConflict(
            "BASE_MODEL_MISMATCH",
            f"adapter was trained on {manifest.base_model_id} ({manifest.base_model_digest}), served is {base.digest}",
        )
    _check_manifest(manifest, base.architecture, max_rank)
    _check_canaries(manifest.canaries, base)
    _check_config(_read_config(folder / CONFIG_NAME), manifest)
    tensors = read_tensors(folder / WEIGHTS_NAME)
    shapes = base.projection_shapes(manifest.target_modules)
    expected = {f"base_model.model.{name}": shape for name, shape in shapes.items()}
    _check_names(set(tensors), set(expected))
    scale = manifest.alpha / (math.sqrt(manifest.rank) if manifest.use_rslora else manifest.rank)
    changed = False
    for stem, shape in expected.items():
        a, b = tensors[f"{stem}.lora_A.weight"], tensors[f"{stem}.lora_B.weight"]
        _check_pair(stem, shape, manifest.rank, a, b)
        norm = _delta_norm(a, b) * scale
        if not norm <= MAX_DELTA_NORM:
            raise _rejected(f"{stem}: scaled delta has norm {norm:.3g}, the limit is {MAX_DELTA_NORM:g}")
        changed = changed or norm > 0
    if not changed:
        raise _rejected("every delta is zero: the adapter changes nothing")


def check_prompt_template(manifest: AdapterManifest, digest: str) -> None:
    """Passes when the adapter was trained with the prompt template of this digest (`PromptRenderer.digest`).

    Raises:
        StateConflict: BASE_MODEL_MISMATCH; the weights may fit, and every prompt would be one never trained on.
    """
    if manifest.prompt_digest != digest:
        raise StateConflict(
            "BASE_MODEL_MISMATCH",
            f"adapter was trained with prompt template {manifest.prompt_digest}, served is {digest}",
        )


def _read_config(path: Path) -> dict[str, Any]:  # Any: JSON values, compared one by one
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        raise _rejected(f"{CONFIG_NAME} exceeds {_MAX_CONFIG_BYTES} bytes")
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as err:
        raise _rejected(f"{CONFIG_NAME} is not JSON: {err}") from err
    if not isinstance(config, dict):
        raise _rejected(f"{CONFIG_NAME} is not an object")
    return config


def _check_config(config: dict[str, Any], manifest: AdapterManifest) -> None:  # Any: as above
    facts = {
        "base_model_name_or_path": manifest.base_model_id,
        "r": manifest.rank,
        "lora_alpha": manifest.alpha,
        "use_rslora": manifest.use_rslora,
    }
    for key, value in facts.items():
        if config.get(key, False) != value or (key == "r" and type(config[key]) is not int):
            raise _rejected(f"{CONFIG_NAME}: {key} is {config.get(key)!r}, the manifest says {value!r}")
    modules = config.get("target_modules")
    if not isinstance(modules, list) or sorted(map(str, modules)) != sorted(manifest.target_modules):
        raise _rejected(f"{CONFIG_NAME}: target_modules differ from the manifest")
    for key, values in _ONLY.items():
        if config.get(key) not in values:
            raise _rejected(f"{CONFIG_NAME}: {key} must be one of {values}, got {config.get(key)!r}")
    for key, value in config.items():
        if value and key not in {*facts, "target_modules", *_ONLY, *_HARMLESS}:
            raise _rejected(f"{CONFIG_NAME}: {key[:80]} must not be set, got {str(value)[:80]}")


def _check_manifest(manifest: AdapterManifest, architecture: Architecture, max_rank: int) -> None:
    if not 1 <= manifest.rank <= max_rank:
        raise _rejected(f"rank {manifest.rank} is outside 1..{max_rank}")
    if not (math.isfinite(manifest.alpha) and 0 < manifest.alpha <= MAX_ALPHA_OVER_RANK * manifest.rank):
        raise _rejected(f"alpha {manifest.alpha} is outside (0, {MAX_ALPHA_OVER_RANK * manifest.rank}]")
    known = architecture.target_modules
    if set(manifest.target_modules) - set(known) or not manifest.target_modules:
        raise _rejected(f"target modules must be among {known}, got {sorted(manifest.target_modules)}")


def _check_canaries(canaries: Sequence[Canary], base: BaseModel) -> None:
    if len(canaries) > MAX_CANARIES:
        raise _rejected(f"{len(canaries)} canaries, the limit is {MAX_CANARIES}")
    for number, canary in enumerate(canaries):
        ids = canary.prompt_ids + canary.expected_ids
        if not (canary.prompt_ids and canary.expected_ids):
            raise _rejected(f"canaries[{number}] needs a prompt and an expected answer")
        if len(ids) > base.max_positions:
            raise _rejected(f"canaries[{number}] has {len(ids)} tokens, the base's context is {base.max_positions}")
        for token in (min(ids), max(ids)):
            if not 0 <= token < base.vocabulary_size:
                last = base.vocabulary_size - 1
                raise _rejected(f"canaries[{number}] holds token {token}, the base's vocabulary is 0..{last}")


def _check_names(found: set[str], stems: set[str]) -> None:
    wanted = {f"{stem}.lora_{side}.weight" for stem in stems for side in "AB"}
    for name in sorted(found - wanted):
        known = "belongs to no target module of this base" if _NAME.fullmatch(name) else "is not a LoRA weight"
        raise _rejected(f"tensor {name[:160]!r} {known}")
    for name in sorted(wanted - found):
        raise _rejected(f"tensor {name!r} is missing")


def _check_pair(stem: str, shape: tuple[int, int], rank: int, a: NDArray[np.float32], b: NDArray[np.float32]) -> None:
    out, inner = shape
    for name, tensor, wanted in (("lora_A", a, (rank, inner)), ("lora_B", b, (out, rank))):
        if tensor.shape != wanted:
            raise _rejected(f"{stem}.{name} has shape {tensor.shape}, must be {wanted}")
        if not np.isfinite(tensor).all():
            raise _rejected(f"{stem}.{name} holds NaN or infinity")


def _delta_norm(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Frobenius norm of `b @ a` from the two Gram matrices: `sqrt(trace((b^T b)(a a^T)))`, without the full product."""
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sqrt(max(0.0, float(np.sum((wide_b.T @ wide_b) * (wide_a @ wide_a.T))))))


def _rejected(text: str) -> StateConflict:
    return StateConflict("ADAPTER_REJECTED", text)
