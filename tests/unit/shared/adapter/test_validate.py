"""Adapters that must never reach an engine are refused by name; a sound one passes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from shared.adapter.manifest import AdapterManifest
from shared.adapter.package import CONFIG_NAME, MANIFEST_NAME, WEIGHTS_NAME, read_package, write_package
from shared.adapter.validate import TARGET_MODULES, validate_adapter
from shared.base_model import BaseModel
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import DataLoss, StateConflict
from tests.adapter_file import random_lora

RANK = 4
Tensors = dict[str, np.ndarray]
Config = dict[str, object]


def _tensors(base: BaseModel) -> Tensors:
    return random_lora(base, rank=RANK, seed=0, scale=0.02)


def _manifest(base: BaseModel) -> AdapterManifest:
    return AdapterManifest(
        base_model_id=base.model_id,
        base_model_digest=base.digest,
        prompt_digest="sha256:" + "0" * 64,
        contract_name="tenants/acme/contracts/answer",
        contract=ContractSpec(ContractKind.JSON, json_schema='{"type":"boolean"}'),
        rank=RANK,
        alpha=8.0,
        target_modules=TARGET_MODULES,
        dataset_digest="sha256:" + "1" * 64,
        canaries=(),
    )


def _config() -> Config:
    return {
        "peft_type": "LORA",
        "base_model_name_or_path": "tiny",
        "r": RANK,
        "lora_alpha": 8,
        "target_modules": list(TARGET_MODULES),
        "bias": "none",
        "use_rslora": False,
    }


@pytest.fixture
def package(tmp_path: Path, tiny_base: BaseModel) -> Callable[[Tensors, Config], tuple[Path, AdapterManifest]]:
    """Writes a package of these tensors and config."""

    def write(tensors: Tensors, config: Config) -> tuple[Path, AdapterManifest]:
        save_file(tensors, tmp_path / "weights")
        (tmp_path / "config").write_text(json.dumps(config))
        folder = tmp_path / "package"
        sources = {WEIGHTS_NAME: tmp_path / "weights", CONFIG_NAME: tmp_path / "config"}
        return folder, write_package(folder, _manifest(tiny_base), sources)

    return write


def _change(tensors: Tensors, part: str, change: Callable[[np.ndarray], np.ndarray]) -> Tensors:
    name = next(name for name in tensors if part in name)
    return {**tensors, name: change(tensors[name])}


def _with(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def put(tensor: np.ndarray) -> np.ndarray:
        copy = tensor.copy()
        copy[0, 0] = value
        return copy

    return put


BAD_TENSORS: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "nan": (lambda t: _change(t, "lora_A", _with(np.nan)), "NaN or infinity"),
    "infinity": (lambda t: _change(t, "lora_B", _with(np.inf)), "NaN or infinity"),
    "huge": (lambda t: _change(t, "lora_B", _with(1e30)), "norm"),
    "larger base": (lambda t: _change(t, "lora_A", lambda a: np.ones((RANK, 999), np.float32)), "has shape"),
    "smaller base": (lambda t: _change(t, "lora_B", lambda b: b[:10]), "has shape"),
    "other rank": (lambda t: _change(t, "lora_A", lambda a: np.vstack([a, a])), "has shape"),
    "one dimension": (lambda t: _change(t, "lora_A", lambda a: a[0]), "has shape"),
    "unpaired": (lambda t: dict(list(t.items())[1:]), "is missing"),
    "extra layer": (
        lambda t: {**t, "base_model.model.model.layers.9.mlp.up_proj.lora_A.weight": np.ones((RANK, 64), np.float32)},
        "no target module",
    ),
    "foreign tensor": (lambda t: {**t, "lm_head.weight": np.ones((2, 2), np.float32)}, "is not a LoRA weight"),
    "int8": (lambda t: _change(t, "lora_A", lambda a: a.astype(np.int8)), "must be F32, F16 or BF16"),
    "all zero": (lambda t: {n: np.zeros_like(v) if "lora_B" in n else v for n, v in t.items()}, "changes nothing"),
    "empty": (lambda t: {}, "is missing"),
}

BAD_CONFIGS: dict[str, Config] = {
    "dora": {"use_dora": True},
    "ia3": {"peft_type": "IA3"},
    "bias": {"bias": "all"},
    "saved modules": {"modules_to_save": ["lm_head"]},
    "layer replication": {"layer_replication": [[0, 2]]},
    "rank pattern": {"rank_pattern": {"q_proj": 8}},
    "other rank": {"r": 8},
    "other alpha": {"lora_alpha": 1e30},
    "other base": {"base_model_name_or_path": "/home/me/llama"},
    "fewer targets": {"target_modules": ["q_proj"]},
}


class TestValidateAdapter:
    """The gate before every engine."""

    def test_passes_a_sound_adapter(self, package, tiny_base: BaseModel) -> None:
        """What the trainer makes is served."""
        folder, manifest = package(_tensors(tiny_base), _config())

        assert read_package(folder, manifest.digest) == manifest
        validate_adapter(folder, manifest, tiny_base, max_rank=16)

    @pytest.mark.parametrize("case", BAD_TENSORS)
    def test_refuses_bad_weights(self, package, tiny_base: BaseModel, case: str) -> None:
        """Each fault that an engine would serve or die of is refused with its own words."""
        break_it, words = BAD_TENSORS[case]
        folder, manifest = package(break_it(_tensors(tiny_base)), _config())

        with pytest.raises(StateConflict, match=words) as caught:
            validate_adapter(folder, manifest, tiny_base, max_rank=16)

        assert caught.value.reason == "ADAPTER_REJECTED"

    @pytest.mark.parametrize("case", BAD_CONFIGS)
    def test_refuses_bad_configs(self, package, tiny_base: BaseModel, case: str) -> None:
        """Whatever an engine would ignore or misread in adapter_config.json is refused by its key."""
        folder, manifest = package(_tensors(tiny_base), _config() | BAD_CONFIGS[case])

        with pytest.raises(StateConflict, match=next(iter(BAD_CONFIGS[case]))):
            validate_adapter(folder, manifest, tiny_base, max_rank=16)

    def test_refuses_another_base_and_a_rank_above_the_engines(self, package, tiny_base: BaseModel) -> None:
        """The manifest alone decides whether an engine can hold the adapter."""
        folder, manifest = package(_tensors(tiny_base), _config())
        foreign = dataclasses.replace(manifest, base_model_digest="sha256:" + "f" * 64)

        with pytest.raises(StateConflict) as other_base:
            validate_adapter(folder, foreign, tiny_base, max_rank=16)
        with pytest.raises(StateConflict, match="rank 4"):
            validate_adapter(folder, manifest, tiny_base, max_rank=2)

        assert other_base.value.reason == "BASE_MODEL_MISMATCH"

    @pytest.mark.parametrize(
        "data", [b"", b"\x00" * 7, b"\xff" * 64, b"\x02" + b"\x00" * 7 + b"{}tail", b"\x01" + b"\x00" * 7 + b"{"]
    )
    def test_refuses_garbage_files(self, package, tiny_base: BaseModel, data: bytes) -> None:
        """A file that is not safetensors is refused, never an exception of another kind."""
        folder, manifest = package(_tensors(tiny_base), _config())
        (folder / WEIGHTS_NAME).write_bytes(data)

        with pytest.raises(StateConflict):
            validate_adapter(folder, manifest, tiny_base, max_rank=16)


class TestReadPackage:
    """The package on disk."""

    def test_refuses_a_flipped_bit(self, package, tiny_base: BaseModel) -> None:
        """One changed byte of the weights is data loss."""
        folder, _ = package(_tensors(tiny_base), _config())
        data = bytearray((folder / WEIGHTS_NAME).read_bytes())
        data[-1] ^= 1
        (folder / WEIGHTS_NAME).write_bytes(data)

        with pytest.raises(DataLoss):
            read_package(folder)

    @pytest.mark.parametrize("name", ["adapter_model.bin", "README.md", "sub"])
    def test_refuses_files_it_does_not_know(self, package, tiny_base: BaseModel, name: str) -> None:
        """Nothing but the three known files is ever read."""
        folder, _ = package(_tensors(tiny_base), _config())
        (folder / name).write_bytes(b"")

        with pytest.raises(StateConflict, match=name):
            read_package(folder)

    def test_refuses_links(self, package, tiny_base: BaseModel, tmp_path: Path) -> None:
        """A link could point at anybody's file."""
        folder, _ = package(_tensors(tiny_base), _config())
        (folder / CONFIG_NAME).unlink()
        (folder / CONFIG_NAME).symlink_to(tmp_path / "config")

        with pytest.raises(StateConflict, match="plain file"):
            read_package(folder)

    def test_refuses_another_manifest(self, package, tiny_base: BaseModel) -> None:
        """The manifest must be the one that the registry recorded; garbage is refused too."""
        folder, manifest = package(_tensors(tiny_base), _config())

        with pytest.raises(DataLoss):
            read_package(folder, "sha256:" + "0" * 64)
        (folder / MANIFEST_NAME).write_bytes(manifest.to_json().replace(b'"rank":4', b'"rank":"x","more":1'))
        with pytest.raises(StateConflict, match="does not parse"):
            read_package(folder)
