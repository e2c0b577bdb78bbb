"""Compiling under limits, and the cache on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.compiler import CompileLimits, ContractCompiler
from shared.contracts.report import EngineName
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import DataLoss, InvalidInput, NotFound
from tests.hostile import SPECS as HOSTILE
from tests.unit.contracts.sample import SAMPLES, byte_tokens, closed, string, vocabulary

Json = Any  # JSON values


def spec(schema: Json) -> ContractSpec:
    """A contract of a schema or of its text."""
    return ContractSpec(ContractKind.JSON, schema if isinstance(schema, str) else json.dumps(schema))


INVOICE = spec(SAMPLES["invoice"][0])


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that holds the compiled invoice."""
    folder = tmp_path_factory.mktemp("contracts")
    ContractCompiler(folder, vocabulary()).compile(INVOICE)
    return folder


def compiler(folder: Path, **limits: Any) -> ContractCompiler:  # Any: fields of CompileLimits
    """A compiler over the test vocabulary."""
    return ContractCompiler(folder, vocabulary(), CompileLimits(**limits))


class TestCache:
    """Folders by digest."""

    def test_a_compiled_contract_is_loaded_by_its_digest(self, stocked: Path) -> None:
        """Spec, verdicts, minimum and automaton come back, without a worker."""
        contract = compiler(stocked, wall_seconds=0).compile(INVOICE)

        assert contract.spec == INVOICE
        assert compiler(stocked).load(contract.digest).min_tokens == contract.min_tokens > 1
        assert contract.verdicts
        text = contract.canonicalise(json.dumps(SAMPLES["invoice"][1][0]))
        assert contract.automaton.accepts(byte_tokens(text))
        assert contract.check(text) == ()

    @pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, "sha256:../../etc", "", "invoice"])
    def test_an_unknown_digest_is_not_found(self, stocked: Path, digest: str) -> None:
        """Absent contracts and names that are no digests are not found; no path is built from them."""
        with pytest.raises(NotFound):
            compiler(stocked).load(digest)

    @pytest.mark.parametrize("name", ["tokens.npy", "contract.json"])
    @pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
    def test_a_torn_write_is_noticed_and_healed(self, tmp_path: Path, stocked: Path, name: str, damage: str) -> None:
        """`load` reports the damage; `compile` makes the contract anew."""
        import shutil

        shutil.copytree(stocked, tmp_path / "cache")
        contract = compiler(tmp_path / "cache").compile(INVOICE)
        file = compiler(tmp_path / "cache").folder(contract.digest) / name
        data = file.read_bytes()
        file.unlink()
        if damage != "gone":
            middle = len(data) // 2
            file.write_bytes(
                data[:middle] + (b"" if damage == "cut" else bytes([data[middle] ^ 1]) + data[middle + 1 :])
            )

        with pytest.raises(DataLoss):
            compiler(tmp_path / "cache").load(contract.digest)
        if name == "contract.json" and damage == "flip":  # healing takes a worker: once per kind of damage is enough
            healed = compiler(tmp_path / "cache").compile(INVOICE)
            assert healed.min_tokens == contract.min_tokens

    def test_leaves_nothing_behind(self, tmp_path: Path) -> None:
        """After a success and a refusal the cache holds one folder and no scratch."""
        folder = tmp_path / "cache"
        compiler(folder).compile(spec({"type": "null"}))
        with pytest.raises(InvalidInput):
            compiler(folder).compile(spec({"not": {}}))

        assert len(list(folder.iterdir())) == 1


class TestLimits:
    """One contract cannot take the service with it."""

    def test_a_refusal_crosses_the_process_border_whole(self, tmp_path: Path) -> None:
        """Reason, hint and all violations arrive as the compiler raised them."""
        with pytest.raises(InvalidInput) as refusal:
            compiler(tmp_path).compile(spec(closed({"a": string(pattern="(?=a)"), "b": {"$ref": "#/x"}})))

        assert refusal.value.reason == "CONTRACT_UNSUPPORTED"
        assert {v.path for v in refusal.value.violations} == {
            "json_schema#/properties/a/pattern",
            "json_schema#/properties/b/$ref",
        }
        assert refusal.value.hint

    def test_what_is_too_large_for_an_automaton_is_a_grammar(self, tmp_path: Path) -> None:
        """Above the limit of states the other engine holds the contract, with the same promise."""
        small = compiler(tmp_path).compile(INVOICE)
        large = compiler(tmp_path / "other", max_states=100).compile(INVOICE)

        assert (small.report.engine, large.report.engine) == (EngineName.OUTLINES, EngineName.LLGUIDANCE)
        assert small.report.guarantee is large.report.guarantee
        assert large.min_tokens >= small.min_tokens
        tokens = byte_tokens(large.canonicalise(json.dumps(SAMPLES["invoice"][1][0])))
        for contract in (small, large):
            guide = contract.guide()
            assert all(guide.advance(token) for token in [*tokens, vocabulary().eos_id])
            assert guide.is_finished()

    @pytest.mark.parametrize("limits", [{"wall_seconds": 0.05}, {"memory_bytes": 40 * 1024**2}])
    def test_a_limit_ends_the_worker_with_a_refusal(self, tmp_path: Path, limits: dict[str, Any]) -> None:
        """Time and memory each end in CONTRACT_TOO_LARGE, with nothing stored."""
        with pytest.raises(InvalidInput) as refusal:
            compiler(tmp_path / "cache", **limits).compile(INVOICE)

        assert refusal.value.reason == "CONTRACT_TOO_LARGE"
        assert list((tmp_path / "cache").iterdir()) == []

    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_contracts_are_answered(self, tmp_path: Path, name: str) -> None:
        """Each is compiled or refused by name within its limits, and this process lives on."""
        refusals = []

        try:
            compiler(tmp_path, cpu_seconds=2, memory_bytes=1024**3).compile(HOSTILE[name])
        except InvalidInput as refusal:
            refusals.append(refusal)

        assert all(r.reason in {"CONTRACT_TOO_LARGE", "CONTRACT_UNSUPPORTED"} and r.violations for r in refusals)
        assert len(list(tmp_path.iterdir())) == 1 - len(refusals)
