"""Adapters that must never reach an engine are refused by name; a sound one passes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.adapter.manifest import AdapterManifest, Canary
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
SHORT = Canary((1,), (2,))


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


class TestCanaries:
    """What an engine is asked before an adapter serves."""

    def test_pass_up_to_the_bounds(self, package: Package, tiny_base: BaseModel) -> None:
        """The first and the last token, the whole context, and far more canaries than the trainer packs."""
        folder, manifest = package(SOUND)
        widest = Canary((0,) * (tiny_base.max_positions - 1), (tiny_base.vocabulary_size - 1,))

        validate_adapter(folder, dataclasses.replace(manifest, canaries=(widest,) * 64), tiny_base, max_rank=16)

    @pytest.mark.parametrize(
        ("canaries", "words"),
        [
            ((Canary((1, -1), (2,)),), "canaries[0] holds token -1, the base's vocabulary is 0..511"),
            ((SHORT, Canary((1,), (512,))), "canaries[1] holds token 512, the base's vocabulary is 0..511"),
            ((Canary((1 << 70,), (2,)),), "canaries[0] holds token 1180591620717411303424, "),
            ((Canary((1,) * 500, (2,) * 13),), "canaries[0] has 513 tokens, the base's context is 512"),
            ((Canary((), (2,)),), "canaries[0] needs a prompt and an expected answer"),
            ((Canary((1,), ()),), "canaries[0] needs a prompt and an expected answer"),
            ((SHORT,) * 65, "65 canaries, the limit is 64"),
        ],
        ids=["negative", "no token", "huge", "too long", "no prompt", "no answer", "too many"],
    )
    def test_that_no_engine_could_be_asked_are_refused(
        self, package: Package, tiny_base: BaseModel, canaries: tuple[Canary, ...], words: str
    ) -> None:
        """By number and limit, before they reach an engine that others' requests run in."""
        folder, manifest = package(SOUND)

        with pytest.raises(StateConflict, match=re.escape(words)) as caught:
            validate_adapter(folder, dataclasses.replace(manifest, canaries=canaries), tiny_base, max_rank=16)

        assert caught.value.reason == "ADAPTER_REJECTED"


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
