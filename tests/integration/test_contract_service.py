"""Contracts of every kind over a real socket: compiled, stored, listed, and dry runs that store nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.client import TrainerClient
from shared.contracts.report import CompileReport, EngineName, Guarantee, KeywordFate
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import AlreadyExists, InvalidInput, NotFound
from shared.rpc.contract_message import report_of
from tests.trainer_process import trainer_process

TENANT = "tenants/acme"
SPECS = {
    ContractKind.JSON: ContractSpec(ContractKind.JSON, json_schema='{"type":"boolean","title":"is it so"}'),
    ContractKind.SQL: ContractSpec(ContractKind.SQL, ddl="CREATE TABLE t (a TEXT);"),
    ContractKind.CHOICE: ContractSpec(ContractKind.CHOICE, choices=("billing", "refund", "other")),
    ContractKind.REGEX: ContractSpec(ContractKind.REGEX, pattern=r"[A-Z]{2}-\d{4}"),
    ContractKind.TEXT: ContractSpec(ContractKind.TEXT, max_chars=80),
}
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def trainer(tiny_base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainerClient]:
    """A trainer that holds nothing yet."""
    folder = tmp_path_factory.mktemp("trainer")
    with trainer_process(folder, tiny_base_folder) as process, TrainerClient(process.wait_ready(60)) as own:
        yield own


class TestEveryKind:
    """What holds for each kind of contract."""

    @pytest.mark.parametrize("kind", SPECS)
    def test_is_created_found_and_reported_alike(self, trainer: TrainerClient, kind: ContractKind) -> None:
        """The stored contract is the one that was sent, and its report is that of the dry run."""
        dry = trainer.compile_contract(TENANT, SPECS[kind])
        created = trainer.create_contract(f"{TENANT}/contracts/{kind}", SPECS[kind])

        assert trainer.contract(created.name) == created
        assert created.WhichOneof("definition") == kind
        assert created.digest == SPECS[kind].digest
        assert report_of(created.report) == dry
        assert dry.min_tokens >= 1
        assert dry.guarantee is (Guarantee.NONE if kind is ContractKind.TEXT else Guarantee.CERTAIN)
        assert dry.engine in set(EngineName)

    def test_all_are_listed(self, trainer: TrainerClient) -> None:
        """By name, whatever the kind."""
        for kind, spec in SPECS.items():
            trainer.create_contract(f"{TENANT}/contracts/{kind}", spec)

        names = [contract.name for contract in trainer.contracts(TENANT)]

        assert names == sorted(f"{TENANT}/contracts/{kind}" for kind in SPECS)

    def test_the_same_words_of_another_kind_are_another_definition(self, trainer: TrainerClient) -> None:
        """A name keeps its meaning."""
        name = f"{TENANT}/contracts/{ContractKind.REGEX}"
        trainer.create_contract(name, SPECS[ContractKind.REGEX])

        with pytest.raises(AlreadyExists):
            trainer.create_contract(name, ContractSpec(ContractKind.CHOICE, choices=(r"[A-Z]{2}-\d{4}",)))


class TestDryRun:
    """CompileContract."""

    def test_stores_nothing(self, trainer: TrainerClient) -> None:
        """The report comes back; no contract of that definition exists."""
        spec = ContractSpec(ContractKind.CHOICE, choices=("only", "here"))
        before = list(trainer.contracts(TENANT))

        report = trainer.compile_contract(TENANT, spec)

        assert isinstance(report, CompileReport)
        assert list(trainer.contracts(TENANT)) == before
        with pytest.raises(NotFound):
            trainer.contract(f"{TENANT}/contracts/only")

    def test_tells_the_fate_of_every_keyword(self, trainer: TrainerClient) -> None:
        """By JSON Pointer, annotations included."""
        report = trainer.compile_contract(TENANT, SPECS[ContractKind.JSON])

        fates = {verdict.pointer: verdict.fate for verdict in report.verdicts}
        assert fates["/title"] is KeywordFate.ANNOTATION
        assert fates["/type"] is KeywordFate.ENFORCED

    @pytest.mark.parametrize(
        ("spec", "paths"),
        [
            (ContractSpec(ContractKind.CHOICE, choices=("a", "a", "")), ["choices[1]", "choices[2]"]),
            (ContractSpec(ContractKind.REGEX, pattern="(?=a)"), ["pattern"]),
            (ContractSpec(ContractKind.TEXT, max_chars=-1), ["max_chars"]),
            (ContractSpec(ContractKind.JSON, json_schema='{"type":"nonsense"}'), ["json_schema#/type"]),
        ],
    )
    def test_names_every_place_that_is_refused(
        self, trainer: TrainerClient, spec: ContractSpec, paths: list[str]
    ) -> None:
        """As CreateContract would, with the reason of the compiler."""
        with pytest.raises(InvalidInput) as caught:
            trainer.compile_contract(TENANT, spec)

        assert caught.value.reason == "CONTRACT_UNSUPPORTED"
        assert [violation.path for violation in caught.value.violations] == paths

    def test_needs_a_tenant(self, trainer: TrainerClient) -> None:
        """A name that is none is refused before anything is compiled."""
        with pytest.raises(InvalidInput) as caught:
            trainer.compile_contract("acme", SPECS[ContractKind.TEXT])

        assert caught.value.reason == "FIELD_INVALID"
