"""Adapters that must never reach an engine are refused by name; a sound one passes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.adapter.manifest import AdapterManifest
from shared.adapter.package import MANIFEST_NAME, read_package
from shared.adapter.validate import validate_adapter
from shared.base_model import BaseModel
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import DataLoss, StateConflict
from tests.bad_adapters import CASES, RANK, BadAdapter, sound_tensors, write_bad


def _manifest(base: BaseModel) -> AdapterManifest:
    return AdapterManifest(
        base_model_id=base.model_id,
        base_model_digest=base.digest,
        prompt_digest="sha256:" + "0" * 64,
        contract_name="tenants/acme/contracts/answer",
        contract=ContractSpec(ContractKind.JSON, json_schema='{"type":"boolean"}'),
        rank=RANK,
        alpha=8.0,
        target_modules=base.architecture.target_modules,
        dataset_digest="sha256:" + "1" * 64,
        canaries=(),
    )


Package = Callable[[BadAdapter], tuple[Path, AdapterManifest]]
SOUND = BadAdapter("")


@pytest.fixture
def package(tmp_path: Path, tiny_base: BaseModel) -> Package:
    """Writes the package of a case."""

    def write(case: BadAdapter) -> tuple[Path, AdapterManifest]:
        folder = tmp_path / "package"
        return folder, write_bad(case, _manifest(tiny_base), sound_tensors(tiny_base), folder)

    return write


class TestValidateAdapter:
    """The gate before every engine."""

    def test_passes_a_sound_adapter(self, package: Package, tiny_base: BaseModel) -> None:
        """What the trainer makes is served."""
        folder, manifest = package(SOUND)

        assert read_package(folder, manifest.digest) == manifest
        validate_adapter(folder, manifest, tiny_base, max_rank=16)

    @pytest.mark.parametrize("name", CASES)
    def test_refuses_what_an_engine_would_serve_or_die_of(
        self, package: Package, tiny_base: BaseModel, name: str
    ) -> None:
        """Each with its own words, by the two checks that stand before every engine."""
        folder, manifest = package(CASES[name])

        with pytest.raises((StateConflict, DataLoss), match=re.escape(CASES[name].words)) as caught:
            validate_adapter(folder, read_package(folder, manifest.digest), tiny_base, max_rank=16)

        assert caught.value.reason in ("ADAPTER_REJECTED", "DIGEST_MISMATCH")

    def test_refuses_another_base_and_a_rank_above_the_engines(self, package: Package, tiny_base: BaseModel) -> None:
        """The manifest alone decides whether an engine can hold the adapter."""
        folder, manifest = package(SOUND)
        foreign = dataclasses.replace(manifest, base_model_digest="sha256:" + "f" * 64)

        with pytest.raises(StateConflict) as other_base:
            validate_adapter(folder, foreign, tiny_base, max_rank=16)
        with pytest.raises(StateConflict, match="rank 4"):
            validate_adapter(folder, manifest, tiny_base, max_rank=2)

        assert other_base.value.reason == "BASE_MODEL_MISMATCH"


class TestReadPackage:
    """The package on disk."""

    def test_refuses_another_manifest(self, package: Package) -> None:
        """The manifest must be the one that the registry recorded; garbage is refused too."""
        folder, manifest = package(SOUND)

        with pytest.raises(DataLoss):
            read_package(folder, "sha256:" + "0" * 64)
        (folder / MANIFEST_NAME).write_bytes(manifest.to_json().replace(b'"rank":4', b'"rank":"x","more":1'))
        with pytest.raises(StateConflict, match="does not parse"):
            read_package(folder)
