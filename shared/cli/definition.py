"""Reads a contract's definition from files and options, as its owner keeps it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.contracts.spec import ContractKind, ContractSpec, JoinEdge, SqlProfile, UndeclaredProperties, ValueList
from shared.errors import InvalidInput
from shared.names import invalid_field

_KINDS_BY_SUFFIX = {".json": ContractKind.JSON, ".sql": ContractKind.SQL, ".ddl": ContractKind.SQL}


@dataclass(frozen=True)
class Options:
    """What a definition's file does not say; each kind uses its own."""

    dialect: str = "sqlite"
    profile: SqlProfile = SqlProfile.FLAT
    undeclared: UndeclaredProperties = UndeclaredProperties.NARROWED
    max_chars: int = 0
    values: Sequence[str] = ()
    joins: Sequence[str] = ()


def read_spec(file: Path | None, kind: ContractKind | None, options: Options) -> ContractSpec:
    """The contract that `file` defines; without `kind` the name's ending tells it.

    `json`: a JSON Schema. `sql`: CREATE TABLE statements. `choice`: one answer a line, or a JSON array of texts in a
    `.json` file. `regex`: the pattern. `text`: no file.

    Raises `InvalidInput` (`FIELD_INVALID`) for a file that cannot be read as that.
    """
    kind = kind or (_KINDS_BY_SUFFIX.get(file.suffix) if file else None)
    if kind is None:
        raise invalid_field("--kind", "is required: the file's name does not end in .json, .sql or .ddl")
    if kind is ContractKind.TEXT:
        if file is not None:
            raise invalid_field("FILE", "is not read for kind text: --max-chars says everything")
        return ContractSpec(kind, max_chars=options.max_chars)
    if file is None:
        raise invalid_field("FILE", f"is required for kind {kind}")
    text = _read(file, "FILE")
    match kind:
        case ContractKind.JSON:
            return ContractSpec(kind, json_schema=text, undeclared_properties=options.undeclared)
        case ContractKind.CHOICE:
            return ContractSpec(kind, choices=_choices(file, text))
        case ContractKind.REGEX:
            return ContractSpec(kind, pattern=text.removesuffix("\n"))
    return ContractSpec(
        kind,
        ddl=text,
        dialect=options.dialect,
        profile=options.profile,
        value_lists=tuple(map(_value_list, options.values)),
        join_edges=tuple(map(_join_edge, options.joins)),
    )


def _read(file: Path, field: str) -> str:
    try:
        return file.read_text(encoding="utf-8")  # line breaks of any system become \n
    except (OSError, UnicodeDecodeError) as err:
        raise invalid_field(field, f"{file} cannot be read as UTF-8 text: {err}") from err


def _choices(file: Path, text: str) -> tuple[str, ...]:
    if file.suffix != ".json":
        return tuple(text.removesuffix("\n").split("\n"))
    try:
        choices = json.loads(text)
    except ValueError as err:
        raise invalid_field("FILE", f"{file} is not JSON: {err}") from err
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        raise invalid_field("FILE", f"{file} is not a JSON array of texts")
    return tuple(choices)


def _value_list(option: str) -> ValueList:
    """`TABLE.COLUMN=FILE`, one value a line."""
    place, _, file = option.partition("=")
    table, column = _column(place, "--values", option)
    if not file:
        raise _malformed("--values", option, "TABLE.COLUMN=FILE")
    return ValueList(table, column, tuple(_read(Path(file), "--values").removesuffix("\n").split("\n")))


def _join_edge(option: str) -> JoinEdge:
    """`TABLE.COLUMN=TABLE.COLUMN`."""
    one, _, other = option.partition("=")
    return JoinEdge(*_column(one, "--join", option), *_column(other, "--join", option))


def _column(place: str, field: str, option: str) -> tuple[str, str]:
    table, _, column = place.rpartition(".")
    if not table or not column:
        raise _malformed(field, option, "TABLE.COLUMN=" + ("FILE" if field == "--values" else "TABLE.COLUMN"))
    return table, column


def _malformed(field: str, option: str, form: str) -> InvalidInput:
    return invalid_field(field, f"is {option!r}, it must be {form}")
