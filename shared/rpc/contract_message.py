"""Output contracts and their reports between protobuf and the shared types; services and client read them alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from goldsmith.contract.v1 import contract_pb2 as pb
from shared.contracts.report import CompileReport, EngineName, Guarantee, KeywordFate, KeywordVerdict
from shared.contracts.spec import ContractKind, ContractSpec, JoinEdge, SqlProfile, UndeclaredProperties, ValueList
from shared.names import invalid_field

KINDS = {kind: pb.ContractKind.Value(f"CONTRACT_KIND_{kind.name}") for kind in ContractKind}
GUARANTEES = {each: pb.Guarantee.Value(f"GUARANTEE_{each.name}") for each in Guarantee}
ENGINES = {each: pb.ContractEngine.Value(f"CONTRACT_ENGINE_{each.name}") for each in EngineName}
FATES = {fate: pb.KeywordFate.Value(f"KEYWORD_FATE_{fate.name}") for fate in KeywordFate}
PROFILES = {each: pb.SqlProfile.Value(f"SQL_PROFILE_{each.name}") for each in SqlProfile}
UNDECLARED = {
    each: pb.UndeclaredProperties.Value(f"UNDECLARED_PROPERTIES_{each.name}") for each in UndeclaredProperties
}
DIALECTS = {
    "sqlite": pb.SQL_DIALECT_SQLITE,
    "postgres": pb.SQL_DIALECT_POSTGRESQL,
    "mysql": pb.SQL_DIALECT_MYSQL,
    "duckdb": pb.SQL_DIALECT_DUCKDB,
}
"""Dialects by the name that sqlglot gives them."""

Own = TypeVar("Own")
Sent = TypeVar("Sent", bound=int)


def spec_of(contract: pb.OutputContract) -> ContractSpec:
    """The definition that a message holds, options that were left open at their documented defaults.

    Raises `InvalidInput` (`FIELD_INVALID`) when there is none, or an enum has a value that this version does not know.
    """
    match contract.WhichOneof("definition"):
        case "json":
            undeclared = _known(
                contract.json.undeclared_properties, UNDECLARED, UndeclaredProperties.NARROWED,
                "contract.json.undeclared_properties",
            )  # fmt: skip
            return ContractSpec(ContractKind.JSON, json_schema=contract.json.schema, undeclared_properties=undeclared)
        case "sql":
            return _sql_spec(contract.sql)
        case "choice":
            return ContractSpec(ContractKind.CHOICE, choices=tuple(contract.choice.choices))
        case "regex":
            return ContractSpec(ContractKind.REGEX, pattern=contract.regex.pattern)
        case "text":
            return ContractSpec(ContractKind.TEXT, max_chars=contract.text.max_chars)
    raise invalid_field("contract", "needs a definition: json, sql, choice, regex or text")


def _sql_spec(sql: pb.SqlContract) -> ContractSpec:
    return ContractSpec(
        ContractKind.SQL,
        ddl=sql.ddl,
        dialect=_known(sql.dialect, DIALECTS, "sqlite", "contract.sql.dialect"),
        profile=_known(sql.profile, PROFILES, SqlProfile.FLAT, "contract.sql.profile"),
        value_lists=tuple(ValueList(each.table, each.column, tuple(each.values)) for each in sql.value_lists),
        join_edges=tuple(
            JoinEdge(edge.table, edge.column, edge.other_table, edge.other_column) for edge in sql.join_edges
        ),
    )


def _known(value: Sent, known: Mapping[Own, Sent], default: Own, path: str) -> Own:
    if value == 0:
        return default
    found = next((own for own, sent in known.items() if sent == value), None)
    if found is None:
        raise invalid_field(path, f"has the unknown value {int(value)}")
    return found


def definition_of(spec: ContractSpec) -> pb.OutputContract:
    """A message that holds the definition; inverse of `spec_of`."""
    message = pb.OutputContract()
    match spec.kind:
        case ContractKind.JSON:
            message.json.schema = spec.json_schema
            message.json.undeclared_properties = UNDECLARED[spec.undeclared_properties]
        case ContractKind.SQL:
            message.sql.ddl = spec.ddl
            message.sql.dialect = DIALECTS[spec.dialect]
            message.sql.profile = PROFILES[spec.profile]
            for values in spec.value_lists:
                message.sql.value_lists.add(table=values.table, column=values.column, values=values.values)
            for edge in spec.join_edges:
                message.sql.join_edges.add(
                    table=edge.table, column=edge.column, other_table=edge.other_table, other_column=edge.other_column
                )
        case ContractKind.CHOICE:
            message.choice.choices.extend(spec.choices)
        case ContractKind.REGEX:
            message.regex.pattern = spec.pattern
        case ContractKind.TEXT:
            message.text.max_chars = spec.max_chars
    return message


def report_message(report: CompileReport) -> pb.ContractReport:
    """What the compiler made of a contract, as it is sent."""
    return pb.ContractReport(
        state_count=report.state_count,
        min_output_tokens=report.min_tokens,
        verdicts=[pb.KeywordVerdict(pointer=v.pointer, fate=FATES[v.fate], note=v.note) for v in report.verdicts],
        guarantee=GUARANTEES[report.guarantee],
        engine=ENGINES[report.engine],
        typical_output_tokens=report.typical_tokens,
        max_output_tokens=report.max_tokens,
    )


def report_of(message: pb.ContractReport) -> CompileReport:
    """What a server said of a contract; inverse of `report_message`.

    Raises `InvalidInput` (`FIELD_INVALID`) for a class, engine or fate that this version does not know.
    """
    return CompileReport(
        guarantee=_known(message.guarantee, GUARANTEES, Guarantee.CERTAIN, "report.guarantee"),
        engine=_known(message.engine, ENGINES, EngineName.OUTLINES, "report.engine"),
        state_count=message.state_count,
        min_tokens=message.min_output_tokens,
        typical_tokens=message.typical_output_tokens,
        max_tokens=message.max_output_tokens if message.HasField("max_output_tokens") else None,
        verdicts=tuple(
            KeywordVerdict(v.pointer, _known(v.fate, FATES, KeywordFate.ENFORCED, "report.verdicts.fate"), v.note)
            for v in message.verdicts
        ),
    )
