"""Adapters that must never reach an engine: what vLLM 0.32 dies of, serves silently wrong, or refuses only at first."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from shared.adapter.manifest import AdapterManifest
from shared.adapter.package import CONFIG_NAME, WEIGHTS_NAME, write_package
from tests.adapter_file import random_lora

Tensors = dict[str, np.ndarray]
RANK = 4
_STEM = "base_model.model.model.layers"


def _same(value: Any) -> Any:  # Any: whatever a case leaves alone
    return value


@dataclass(frozen=True)
class BadAdapter:
    """What is wrong with a package that is otherwise whole, and words of the refusal."""

    words: str
    tensors: Callable[[Tensors], Tensors] = _same
    config: dict[str, object] = field(default_factory=dict)
    """Laid over a sound adapter_config.json; a value that is `_same` takes the key away."""
    weights: Callable[[bytes], bytes] = _same
    """Of the bytes of the safetensors file, before the manifest covers them."""
    config_text: Callable[[str], str] = _same
    after: Callable[[Path], None] = _same
    """Of the finished package: what happens to it on its way."""


def write_bad(case: BadAdapter, manifest: AdapterManifest, sound: Tensors, folder: Path) -> AdapterManifest:
    """Writes the package of a case into `folder`, which must not exist; its manifest names what was written."""
    source = folder.with_name(folder.name + ".source")
    source.mkdir(parents=True)
    save_file(case.tensors(dict(sound)), source / WEIGHTS_NAME)
    (source / WEIGHTS_NAME).write_bytes(case.weights((source / WEIGHTS_NAME).read_bytes()))
    config = {key: value for key, value in (sound_config(manifest) | case.config).items() if value is not _same}
    (source / CONFIG_NAME).write_text(case.config_text(json.dumps(config)))
    written = write_package(folder, manifest, {name: source / name for name in (WEIGHTS_NAME, CONFIG_NAME)})
    case.after(folder)
    return written


def sound_config(manifest: AdapterManifest) -> dict[str, object]:
    """An adapter_config.json that agrees with the manifest."""
    return {
        "peft_type": "LORA",
        "base_model_name_or_path": manifest.base_model_id,
        "r": manifest.rank,
        "lora_alpha": manifest.alpha,
        "target_modules": list(manifest.target_modules),
        "bias": "none",
        "use_rslora": False,
    }


def sound_tensors(base: Any, rank: int = RANK) -> Tensors:  # a BaseModel
    """Weights that fit the base."""
    return random_lora(base, rank=rank, seed=0, scale=0.02)


def _changed(part: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensors], Tensors]:
    def apply(tensors: Tensors) -> Tensors:
        name = next(name for name in tensors if part in name)
        return {**tensors, name: change(tensors[name])}

    return apply


def _put(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def put(tensor: np.ndarray) -> np.ndarray:
        copy = tensor.copy()
        copy[0, 0] = value
        return copy

    return put


def _with(name: str, *shape: int) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {**tensors, name: np.ones(shape, np.float32)}


def _other_layers(tensors: Tensors) -> Tensors:
    return {name.replace("layers.", "layers.7"): tensor for name, tensor in tensors.items()}


def _flip_a_bit(folder: Path) -> None:
    data = bytearray((folder / WEIGHTS_NAME).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS_NAME).write_bytes(data)


def _linked(folder: Path) -> None:
    (folder / CONFIG_NAME).rename(folder.with_name(folder.name + ".elsewhere"))
    (folder / CONFIG_NAME).symlink_to(folder.with_name(folder.name + ".elsewhere"))


def _pickled(folder: Path) -> None:
    (folder / WEIGHTS_NAME).rename(folder / "adapter_model.bin")


def _emptied(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def _headed(header: bytes) -> Callable[[bytes], bytes]:
    return lambda _: len(header).to_bytes(8, "little") + header


_ZERO: Callable[[Tensors], Tensors] = lambda t: {n: np.zeros_like(v) if "lora_B" in n else v for n, v in t.items()}  # noqa: E731

CASES: dict[str, BadAdapter] = {
    # Files.
    "empty folder": BadAdapter("package must hold", after=_emptied),
    "no config": BadAdapter("package must hold", after=lambda folder: (folder / CONFIG_NAME).unlink()),
    "no weights": BadAdapter("package must hold", after=lambda folder: (folder / WEIGHTS_NAME).unlink()),
    "pickled weights": BadAdapter("package must hold", after=_pickled),
    "one file more": BadAdapter("package must hold", after=lambda folder: (folder / "README.md").touch()),
    "link": BadAdapter("plain file", after=_linked),
    "flipped bit": BadAdapter("differs from its manifest", after=_flip_a_bit),
    "config that is no JSON": BadAdapter("is not JSON", config_text=lambda text: text[:-1]),
    "config that is a list": BadAdapter("is not an object", config_text=lambda text: f"[{text}]"),
    "large config": BadAdapter("exceeds", config_text=lambda text: text + " " * (64 << 10)),
    "truncated": BadAdapter("lies outside the file", weights=lambda data: data[:-100]),
    "no bytes": BadAdapter("shorter than a header", weights=lambda _: b""),
    "garbage": BadAdapter("header of", weights=lambda _: b"\xff" * 64),
    "header of an exbibyte": BadAdapter("header of", weights=lambda data: (1 << 60).to_bytes(8, "little") + data[8:]),
    "header that is no JSON": BadAdapter("not JSON", weights=_headed(b"{")),
    "bytes of nobody": BadAdapter("no tensor owns", weights=lambda data: data + b"\0" * 8),
    # Tensors.
    "no tensors": BadAdapter("is missing", tensors=lambda _: {}),
    "NaN": BadAdapter("NaN or infinity", tensors=_changed("lora_A", _put(np.nan))),
    "infinity": BadAdapter("NaN or infinity", tensors=_changed("lora_B", _put(np.inf))),
    "1e30": BadAdapter("norm", tensors=_changed("lora_B", _put(1e30))),
    "all zero": BadAdapter("changes nothing", tensors=_ZERO),
    "of a larger base": BadAdapter("has shape", tensors=_changed("lora_A", lambda a: np.ones((RANK, 999), np.float32))),
    "of a smaller base": BadAdapter("has shape", tensors=_changed("lora_B", lambda b: b[:10])),
    "of a higher rank": BadAdapter("has shape", tensors=_changed("lora_A", lambda a: np.vstack([a, a]))),
    "of a lower rank": BadAdapter("has shape", tensors=_changed("lora_A", lambda a: a[:2])),
    "one dimension": BadAdapter("has shape", tensors=_changed("lora_A", lambda a: a[0])),
    "unpaired": BadAdapter("is missing", tensors=lambda tensors: dict(list(tensors.items())[1:])),
    "a layer more": BadAdapter("no target module", tensors=_with(f"{_STEM}.9.mlp.up_proj.lora_A.weight", 4, 64)),
    "other layers only": BadAdapter("no target module", tensors=_other_layers),
    "unknown module": BadAdapter("no target module", tensors=_with(f"{_STEM}.0.mlp.foo_proj.lora_A.weight", 4, 64)),
    "magnitude vector": BadAdapter("not a LoRA weight", tensors=_with(f"{_STEM}.0.lora_magnitude_vector.weight", 64)),
    "head": BadAdapter("not a LoRA weight", tensors=_with("base_model.model.lm_head.weight", 2, 2)),
    "trainable tokens": BadAdapter("not a LoRA weight", tensors=_with("base_model.model.token_adapter.trainable", 2)),
    "embedding": BadAdapter("not a LoRA weight", tensors=_with("base_model.model.embed_tokens.lora_embedding_A", 4)),
    "int8": BadAdapter("must be F32", tensors=_changed("lora_A", lambda a: a.astype(np.int8))),
    "float8": BadAdapter("must be F32", weights=lambda data: data.replace(b'"F32"', b'"F8_"', 1)),
    # Config.
    "rank 0": BadAdapter("r is", config={"r": 0}),
    "rank above the limit": BadAdapter("r is", config={"r": 64}),
    "rank as text": BadAdapter("r is", config={"r": "4"}),
    "another rank": BadAdapter("r is", config={"r": 8}),
    "no alpha": BadAdapter("lora_alpha is", config={"lora_alpha": None}),
    "alpha that is no number": BadAdapter("lora_alpha is", config={"lora_alpha": float("nan")}),
    "alpha of 1e30": BadAdapter("lora_alpha is", config={"lora_alpha": 1e30}),
    "another scaling": BadAdapter("use_rslora is", config={"use_rslora": True}),
    "another base": BadAdapter("base_model_name_or_path is", config={"base_model_name_or_path": "/home/me/llama"}),
    "fewer targets": BadAdapter("target_modules differ", config={"target_modules": ["q_proj"]}),
    "IA3": BadAdapter("peft_type must be", config={"peft_type": "IA3"}),
    "LoHa": BadAdapter("peft_type must be", config={"peft_type": "LOHA"}),
    "no type": BadAdapter("peft_type must be", config={"peft_type": _same}),
    "biases": BadAdapter("bias must be", config={"bias": "all"}),
    "DoRA": BadAdapter("use_dora must not be set", config={"use_dora": True}),
    "LoRA biases": BadAdapter("lora_bias must not be set", config={"lora_bias": True}),
    "saved modules": BadAdapter("modules_to_save must not be set", config={"modules_to_save": ["lm_head"]}),
    "layer replication": BadAdapter("layer_replication must not be set", config={"layer_replication": [[0, 2]]}),
    "rank pattern": BadAdapter("rank_pattern must not be set", config={"rank_pattern": {"q_proj": 8}}),
    "alpha pattern": BadAdapter("alpha_pattern must not be set", config={"alpha_pattern": {"q_proj": 8}}),
    "excluded modules": BadAdapter("exclude_modules must not be set", config={"exclude_modules": ["q_proj"]}),
    "some layers": BadAdapter("layers_to_transform must not be set", config={"layers_to_transform": [0]}),
    "an option of tomorrow": BadAdapter("use_later must not be set", config={"use_later": {"x": 1}}),
    "PiSSA": BadAdapter("init_lora_weights must be", config={"init_lora_weights": "pissa_niter_4"}),
}  # fmt: skip
