"""Output contracts between protobuf and the domain."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from goldsmith.contract.v1 import contract_pb2
from shared.contracts.report import CompileReport, EngineName, Guarantee, KeywordFate, KeywordVerdict
from shared.contracts.spec import ContractKind, ContractSpec, JoinEdge, SqlProfile, UndeclaredProperties, ValueList
from shared.errors import InvalidInput
from trainer_svc.domain.registry import Contract
from trainer_svc.store.codec import dump, load
from trainer_svc.translate import contract

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
REPORT = CompileReport(
    guarantee=Guarantee.SOUND,
    engine=EngineName.LLGUIDANCE,
    state_count=7,
    min_tokens=3,
    typical_tokens=9,
    max_tokens=40,
    verdicts=(
        KeywordVerdict("/type", KeywordFate.ENFORCED, "note"),
        KeywordVerdict("/contains", KeywordFate.CHECKED),
        KeywordVerdict("/title", KeywordFate.ANNOTATION),
    ),
)
SPECS = [
    ContractSpec(ContractKind.JSON, json_schema='{"type": "boolean"}'),
    ContractSpec(ContractKind.JSON, json_schema="{}", undeclared_properties=UndeclaredProperties.AS_WRITTEN),
    ContractSpec(ContractKind.SQL, ddl="CREATE TABLE t (a TEXT);"),
    ContractSpec(
        ContractKind.SQL,
        ddl="CREATE TABLE t (a TEXT); CREATE TABLE u (b TEXT);",
        dialect="postgres",
        profile=SqlProfile.NESTED,
        value_lists=(ValueList("t", "a", ("x", "y")),),
        join_edges=(JoinEdge("t", "a", "u", "b"),),
    ),
    ContractSpec(ContractKind.SQL, ddl="CREATE TABLE t (a TEXT);", dialect="mysql"),
    ContractSpec(ContractKind.SQL, ddl="CREATE TABLE t (a TEXT);", dialect="duckdb"),
    ContractSpec(ContractKind.CHOICE, choices=("yes", "no")),
    ContractSpec(ContractKind.REGEX, pattern="[a-z]+"),
    ContractSpec(ContractKind.TEXT),
    ContractSpec(ContractKind.TEXT, max_chars=200),
]


class TestContract:
    """Definition and report."""

    @pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
    def test_a_definition_comes_back_as_it_was_sent(self, spec: ContractSpec) -> None:
        """Every kind with every option, through storage and over the wire."""
        stored = load(Contract, dump(Contract.of("tenants/a/contracts/c", spec, REPORT, NOW)))

        message = contract_pb2.OutputContract.FromString(contract.contract(stored).SerializeToString())

        assert contract.spec_from(message) == spec
        assert (message.name, message.digest) == ("tenants/a/contracts/c", spec.digest)
        assert message.create_time.ToDatetime(UTC) == NOW

    def test_options_left_open_have_their_documented_defaults(self) -> None:
        """SQLite, flat, narrowed; no limit of characters."""
        sql = contract_pb2.OutputContract(sql=contract_pb2.SqlContract(ddl="CREATE TABLE t (a TEXT);"))
        text = contract_pb2.OutputContract(text=contract_pb2.TextContract())

        assert contract.spec_from(sql) == ContractSpec(ContractKind.SQL, ddl="CREATE TABLE t (a TEXT);")
        assert contract.spec_from(text) == ContractSpec(ContractKind.TEXT)

    @pytest.mark.parametrize("report", [REPORT, replace(REPORT, max_tokens=None, typical_tokens=0)])
    def test_a_report_is_stored_and_shown_whole(self, report: CompileReport) -> None:
        """A missing greatest length is absent, not zero."""
        stored = load(Contract, dump(Contract.of("n", SPECS[0], report, NOW)))
        message = contract.contract(stored).report

        assert stored.report == report
        assert (message.guarantee, message.engine) == (
            contract_pb2.GUARANTEE_SOUND,
            contract_pb2.CONTRACT_ENGINE_LLGUIDANCE,
        )
        assert (message.state_count, message.min_output_tokens) == (7, 3)
        assert message.HasField("max_output_tokens") == (report.max_tokens is not None)
        assert [(v.pointer, v.note) for v in message.verdicts] == [("/type", "note"), ("/contains", ""), ("/title", "")]

    def test_a_contract_of_an_older_release_is_an_automaton_that_is_certain(self) -> None:
        """Rows stored before the report had a class still load, and say what was true of all of them."""
        row = (
            '{"name":"n","spec":"{}","digest":"d","state_count":7,"min_output_tokens":3,"verdicts":[],'
            '"create_time":"2026-01-02T03:04:05Z"}'
        )

        report = load(Contract, row).report

        assert (report.guarantee, report.engine, report.max_tokens) == (Guarantee.CERTAIN, EngineName.OUTLINES, None)

    @pytest.mark.parametrize(
        ("message", "path"),
        [
            (contract_pb2.OutputContract(), "contract"),
            (contract_pb2.OutputContract(json=contract_pb2.JsonContract(schema=" ")), "contract.json.schema"),
            (contract_pb2.OutputContract(sql=contract_pb2.SqlContract(ddl="x" * 70_000)), "contract.sql.ddl"),
            (contract_pb2.OutputContract(sql=contract_pb2.SqlContract(ddl="x", dialect=99)), "contract.sql.dialect"),  # type: ignore[arg-type]  # what a newer caller sends
            (contract_pb2.OutputContract(regex=contract_pb2.RegexContract()), "contract.regex.pattern"),
            (
                contract_pb2.OutputContract(choice=contract_pb2.ChoiceContract(choices=["x" * 40_000, "y" * 40_000])),
                "contract.choice.choices",
            ),
        ],
    )
    def test_without_a_usable_definition_is_refused(self, message: contract_pb2.OutputContract, path: str) -> None:
        """None, an empty one, one of megabytes or of a newer version, before anything is compiled."""
        with pytest.raises(InvalidInput) as caught:
            contract.spec_from(message)

        assert caught.value.violations[0].path == path

    def test_an_option_of_a_newer_version_is_refused_not_dropped(self) -> None:
        """Whoever asks for more than this server knows learns which field it is."""
        newer = contract_pb2.OutputContract.FromString(
            contract_pb2.OutputContract(text=contract_pb2.TextContract(max_chars=5)).SerializeToString()
            + b"\x4a\x03\xa0\x06\x01"  # field 9 (text) again, holding field 100
        )

        with pytest.raises(InvalidInput) as caught:
            contract.spec_from(newer)

        assert [(v.path, v.description) for v in caught.value.violations] == [
            ("contract.text", "holds unknown field number(s) 100")
        ]
