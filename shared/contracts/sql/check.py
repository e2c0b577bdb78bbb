"""Whether a text is one read-only SELECT over the schema: by sqlglot, and by SQLite on an empty database."""

from __future__ import annotations

import sqlite3
from functools import lru_cache
from typing import Any

from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from shared.contracts.spec import ContractSpec
from shared.contracts.sql.ddl import QUOTES
from shared.contracts.sql.declared import schema_of
from shared.contracts.sql.refusal import one_line
from shared.contracts.sql.schema import ColumnKind, SqlSchema
from shared.contracts.sql.statement import parse_select
from shared.errors import FieldViolation

MAX_SQL_CHARACTERS = 32_768
"""Longer than any answer of 2,048 tokens in practice, and short enough that parsing is bounded."""

_MAX_STEPS = 10_000
"""Progress-handler calls (each 1,000 virtual machine steps) before SQLite is stopped; EXPLAIN needs none."""

_READS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION})
_TYPES = {
    ColumnKind.NUMBER: "NUMERIC",
    ColumnKind.TEXT: "TEXT",
    ColumnKind.ANY: "",
    ColumnKind.DATE: "DATE",
    ColumnKind.BOOLEAN: "BOOLEAN",
    ColumnKind.OTHER: "",
}
_Node = Any  # sqlglot ships no usable types


def check_sql(spec: ContractSpec, text: str) -> tuple[FieldViolation, ...]:
    """Every fault of `text`: none when it is exactly one SELECT that reads only what `spec.ddl` declares.

    In SQLite's dialect an empty database must prepare it as well; for the others there is sqlglot only.

    A fault of the DDL itself raises, as in `schema_of`.
    """
    schema = schema_of(spec)
    return tuple(FieldViolation("output", fault) for fault in _faults(schema, text))


def _faults(schema: SqlSchema, text: str) -> list[str]:
    if len(text) > MAX_SQL_CHARACTERS:
        return [f"{len(text)} characters; the limit is {MAX_SQL_CHARACTERS}."]
    node, fault = parse_select(text, schema.dialect)
    if node is None:
        return [fault]
    faults = []
    try:
        qualify(node, schema=_columns_of(schema), dialect=schema.dialect, validate_qualify_columns=True)
    except (SqlglotError, RecursionError) as err:
        faults.append(one_line(err))
    if schema.is_strict:
        return faults
    connection = open_empty(schema)
    try:
        fault = explain(connection, text)
    finally:
        connection.close()
    return [*faults, f"SQLite: {fault}"] if fault else faults


def open_empty(schema: SqlSchema) -> sqlite3.Connection:
    """An empty in-memory database with the schema's tables that refuses everything but reading.

    Built from the names and kinds that were read, never by running the tenant's DDL.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(_image(schema))
    connection.set_authorizer(_authorize)
    steps = iter(range(_MAX_STEPS))
    connection.set_progress_handler(lambda: int(next(steps, None) is None), 1_000)
    return connection


def explain(connection: sqlite3.Connection, text: str) -> str:
    """Why SQLite cannot prepare the statement; empty when it can."""
    try:
        connection.execute("EXPLAIN " + text).close()
    except (sqlite3.Error, sqlite3.Warning, ValueError) as err:  # Warning: two statements; ValueError: NUL
        return one_line(err)
    return ""


@lru_cache(maxsize=16)
def _image(schema: SqlSchema) -> bytes:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for table in schema.tables:
        columns = ", ".join(f"{_quoted(column.name)} {_TYPES[column.kind]}" for column in table.columns)
        connection.execute(f"CREATE TABLE {_quoted(table.name)} ({columns})")
    image = connection.serialize()
    connection.close()
    return image


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _authorize(action: int, *_: object) -> int:
    return sqlite3.SQLITE_OK if action in _READS else sqlite3.SQLITE_DENY


def _columns_of(schema: SqlSchema) -> dict[str, object]:
    """The schema as sqlglot wants it: names escaped as identifiers, in lower case where the dialect knows no case."""
    mark = QUOTES[schema.dialect] or '"'

    def name(text: str) -> str:
        own = text if schema.dialect in ("postgres", "mysql") else text.lower()
        return mark + own.replace(mark, mark * 2) + mark

    return {
        name(table.name): {name(column.name): _TYPES[column.kind] or "TEXT" for column in table.columns}
        for table in schema.tables
    }
