"""The schema of a spec: its tables, with the values and joins that their owner declares besides the DDL."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

from shared.contracts.spec import ContractSpec, JoinEdge, ValueList
from shared.contracts.sql.ddl import read_schema
from shared.contracts.sql.part import CONTROLS
from shared.contracts.sql.refusal import unsupported
from shared.contracts.sql.schema import ColumnKind, ForeignKey, SqlSchema, Table
from shared.errors import FieldViolation

MAX_VALUES = 1_000
"""Values of one column: beyond it a column is no longer of low cardinality, and its list bloats every rule."""
MAX_VALUE_CHARACTERS = 200
MAX_JOIN_EDGES = 200


def schema_of(spec: ContractSpec) -> SqlSchema:
    """The tables that `spec.ddl` declares, with `spec.value_lists` on their columns and `spec.join_edges` as joins.

    Raises what `read_schema` raises, and `InvalidInput` (`CONTRACT_UNSUPPORTED`) with every fault of the lists
    (`value_lists[2].column`) and of the edges (`join_edges[0].other_table`).
    """
    return _declared(spec.ddl, spec.dialect, spec.value_lists, spec.join_edges)


@lru_cache(maxsize=64)
def _declared(ddl: str, dialect: str, lists: tuple[ValueList, ...], edges: tuple[JoinEdge, ...]) -> SqlSchema:
    schema = read_schema(ddl, dialect)
    faults = [*_list_faults(schema, lists), *_edge_faults(schema, edges)]
    if faults:
        raise unsupported(*faults[:20], hint="Name tables and columns as the DDL declares them.")
    keys = list(schema.foreign_keys)
    for edge in edges:
        key = _key(schema, edge)
        if not any(_equalities(key) == _equalities(other) for other in keys):
            keys.append(key)
    values = {(entry.table.lower(), entry.column.lower()): entry.values for entry in lists}
    tables = tuple(_with_values(table, values) for table in schema.tables)
    return SqlSchema(schema.dialect, tables, tuple(keys))


def _with_values(table: Table, values: dict[tuple[str, str], tuple[str, ...]]) -> Table:
    columns = tuple(
        dataclasses.replace(column, values=values.get((table.name.lower(), column.name.lower()), ()))
        for column in table.columns
    )
    return dataclasses.replace(table, columns=columns)


def _key(schema: SqlSchema, edge: JoinEdge) -> ForeignKey:
    table, other = schema.table(edge.table), schema.table(edge.other_table)
    pair = table.by_lower[edge.column.lower()].name, other.by_lower[edge.other_column.lower()].name
    return ForeignKey(table.name, other.name, (pair,))


def _equalities(key: ForeignKey) -> set[frozenset[tuple[str, str]]]:
    return {frozenset(((key.table, left), (key.parent, right))) for left, right in key.pairs}


def _list_faults(schema: SqlSchema, lists: Sequence[ValueList]) -> Iterator[FieldViolation]:
    seen: set[tuple[str, str]] = set()
    for number, entry in enumerate(lists):
        path = f"value_lists[{number}]"
        fault = _column_fault(schema, entry.table, entry.column)
        if fault:
            yield FieldViolation(f"{path}.{fault[0]}", fault[1])
            continue
        if schema.table(entry.table).by_lower[entry.column.lower()].kind is ColumnKind.NUMBER:
            yield FieldViolation(f"{path}.column", f"{entry.table}.{entry.column} holds numbers; lists are for texts.")
        if (entry.table.lower(), entry.column.lower()) in seen:
            yield FieldViolation(f"{path}.column", f"{entry.table}.{entry.column} has a list already.")
        seen.add((entry.table.lower(), entry.column.lower()))
        yield from _value_faults(f"{path}.values", entry.values, schema.dialect)


def _value_faults(path: str, values: Sequence[str], dialect: str) -> Iterator[FieldViolation]:
    if not 1 <= len(values) <= MAX_VALUES:
        yield FieldViolation(path, f"{len(values)} values; 1 to {MAX_VALUES} are allowed.")
        return
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        yield FieldViolation(path, f"{repeated[0][:40]!r} is listed twice.")
    for index, value in enumerate(values):
        if len(value) > MAX_VALUE_CHARACTERS:
            yield FieldViolation(f"{path}[{index}]", f"{len(value)} characters; the limit is {MAX_VALUE_CHARACTERS}.")
        elif any(ord(char) in CONTROLS or 0xD800 <= ord(char) <= 0xDFFF for char in value):
            yield FieldViolation(f"{path}[{index}]", "Holds control characters or half of a surrogate pair.")
        elif dialect == "mysql" and "\\" in value:
            yield FieldViolation(f"{path}[{index}]", "Holds a backslash, which MySQL reads as an escape.")


def _edge_faults(schema: SqlSchema, edges: Sequence[JoinEdge]) -> Iterator[FieldViolation]:
    if len(edges) > MAX_JOIN_EDGES:
        yield FieldViolation("join_edges", f"{len(edges)} edges; the limit is {MAX_JOIN_EDGES}.")
        return
    for number, edge in enumerate(edges):
        path, known = f"join_edges[{number}]", True
        for prefix, table, column in (("", edge.table, edge.column), ("other_", edge.other_table, edge.other_column)):
            fault = _column_fault(schema, table, column)
            if fault:
                known = False
                yield FieldViolation(f"{path}.{prefix}{fault[0]}", fault[1])
        if known:
            left = schema.table(edge.table).by_lower[edge.column.lower()]
            right = schema.table(edge.other_table).by_lower[edge.other_column.lower()]
            if not left.kind.takes(right.kind):
                text = f"{edge.table}.{edge.column} and {edge.other_table}.{edge.other_column}: a number and a text."
                yield FieldViolation(path, text)
            if (edge.table.lower(), left.name) == (edge.other_table.lower(), right.name):
                yield FieldViolation(path, f"{edge.table}.{edge.column} is joined with itself.")


def _column_fault(schema: SqlSchema, table: str, column: str) -> tuple[str, str] | None:
    found = schema.by_lower.get(table.lower())
    if found is None:
        return "table", f"The DDL declares no table {table[:64]!r}."
    if column.lower() not in found.by_lower:
        return "column", f"Table {found.name} has no column {column[:64]!r}."
    return None
