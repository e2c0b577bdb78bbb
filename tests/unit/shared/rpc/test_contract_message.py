"""Contracts and reports between protobuf and the shared types."""

from __future__ import annotations

import enum

import pytest
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from goldsmith.contract.v1 import contract_pb2 as pb
from shared.contracts.report import CompileReport, EngineName, Guarantee, KeywordFate, KeywordVerdict
from shared.contracts.spec import ContractKind, SqlProfile, UndeclaredProperties
from shared.rpc.contract_message import DIALECTS, report_message, report_of


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
