"""Contracts and reports between protobuf and the shared types."""

from __future__ import annotations

import enum

import pytest
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from hypothesis import given
from hypothesis import strategies as st

from goldsmith.contract.v1 import contract_pb2 as pb
from shared.contracts.report import CompileReport, EngineName, Guarantee, KeywordFate, KeywordVerdict
from shared.contracts.spec import ContractKind, ContractSpec, JoinEdge, SqlProfile, UndeclaredProperties, ValueList
from shared.rpc.contract_message import DIALECTS, definition_of, report_message, report_of, spec_of


def _names(wrapper: EnumTypeWrapper, prefix: str) -> set[str]:
    return {name.removeprefix(prefix) for name in wrapper.keys()} - {"UNSPECIFIED"}  # noqa: SIM118  # no mapping


class TestEnums:
    """Words that both sides have."""

    @pytest.mark.parametrize(
        ("wrapper", "prefix", "own"),
        [
            (pb.ContractKind, "CONTRACT_KIND_", ContractKind),
            (pb.Guarantee, "GUARANTEE_", Guarantee),
            (pb.ContractEngine, "CONTRACT_ENGINE_", EngineName),
            (pb.KeywordFate, "KEYWORD_FATE_", KeywordFate),
            (pb.SqlProfile, "SQL_PROFILE_", SqlProfile),
            (pb.UndeclaredProperties, "UNDECLARED_PROPERTIES_", UndeclaredProperties),
        ],
    )
    def test_are_the_same(self, wrapper: EnumTypeWrapper, prefix: str, own: type[enum.Enum]) -> None:
        """A value that one side gains, the other must gain too."""
        assert _names(wrapper, prefix) == {member.name for member in own}

    def test_every_dialect_has_sqlglots_name(self) -> None:
        """No dialect of the contract is unknown to the parser."""
        from sqlglot.dialects.dialect import Dialect

        assert set(DIALECTS.values()) == set(pb.SqlDialect.values()) - {pb.SQL_DIALECT_UNSPECIFIED}
        assert all(Dialect.get(name) for name in DIALECTS)


_WORD = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SPECS = st.one_of(
    st.builds(
        ContractSpec, st.just(ContractKind.JSON), json_schema=_WORD,
        undeclared_properties=st.sampled_from(UndeclaredProperties),
    ),
    st.builds(
        ContractSpec, st.just(ContractKind.SQL), ddl=_WORD, dialect=st.sampled_from(sorted(DIALECTS)),
        profile=st.sampled_from(SqlProfile),
        value_lists=st.lists(st.builds(ValueList, _WORD, _WORD, st.lists(_WORD).map(tuple)), max_size=3).map(tuple),
        join_edges=st.lists(st.builds(JoinEdge, _WORD, _WORD, _WORD, _WORD), max_size=3).map(tuple),
    ),
    st.builds(ContractSpec, st.just(ContractKind.CHOICE), choices=st.lists(_WORD).map(tuple)),
    st.builds(ContractSpec, st.just(ContractKind.REGEX), pattern=_WORD),
    st.builds(ContractSpec, st.just(ContractKind.TEXT), max_chars=st.integers(-(2**31), 2**31 - 1)),
)  # fmt: skip


class TestDefinition:
    """Specs on the wire."""

    @given(SPECS)
    def test_comes_back_as_it_was_sent(self, spec: ContractSpec) -> None:
        """Whatever the texts hold, usable or not: judging is the compiler's business."""
        sent = definition_of(spec).SerializeToString()

        assert spec_of(pb.OutputContract.FromString(sent)) == spec
        assert ContractSpec.from_canonical(spec.canonical()).digest == spec.digest


class TestReport:
    """The report as a client reads it."""

    @pytest.mark.parametrize("most", [None, 12])
    def test_comes_back_as_it_was_sent(self, most: int | None) -> None:
        """Class, engine, sizes and every verdict."""
        report = CompileReport(
            guarantee=Guarantee.NONE,
            engine=EngineName.OUTLINES,
            state_count=1,
            min_tokens=1,
            typical_tokens=0,
            max_tokens=most,
            verdicts=(KeywordVerdict("max_chars", KeywordFate.ANNOTATION, "note"),),
        )

        assert report_of(pb.ContractReport.FromString(report_message(report).SerializeToString())) == report
