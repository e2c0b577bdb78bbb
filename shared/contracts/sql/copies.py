"""Self-joins: a schema in which each table that may be joined with itself stands twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from shared.contracts.sql.schema import ForeignKey, SqlSchema, Table


def with_copies(schema: SqlSchema) -> SqlSchema:
    """`schema` with a copy `t_2` of every table `t` that a key joins with itself or with another table.

    The copy is joined as the table is; the two are joined along keys of the table to itself, in both directions, and
    on equal values of each column that takes part in a join.
    """
    copies = {table.name: _copy(schema, table) for table in schema.tables if _joined_columns(schema, table.name)}
    keys = [key for key in schema.foreign_keys if key.table != key.parent]
    copied = [key for table, copy in copies.items() for key in _keys(schema, table, copy.name)]
    return SqlSchema(schema.dialect, (*schema.tables, *copies.values()), (*keys, *copied))


def _copy(schema: SqlSchema, table: Table) -> Table:
    number = 2
    while f"{table.name}_{number}".lower() in schema.by_lower:
        number += 1
    return dataclasses.replace(table, name=f"{table.name}_{number}", copy_of=table.name)


def _keys(schema: SqlSchema, table: str, copy: str) -> Iterator[ForeignKey]:
    for key in schema.foreign_keys:
        if key.table == key.parent == table:
            yield dataclasses.replace(key, parent=copy)
            yield dataclasses.replace(key, table=copy)
    for column in _joined_columns(schema, table):
        yield ForeignKey(table, copy, ((column, column),))
    for key in schema.foreign_keys:
        if key.table == table != key.parent:
            yield dataclasses.replace(key, table=copy)
        elif key.parent == table != key.table:
            yield dataclasses.replace(key, parent=copy)


def _joined_columns(schema: SqlSchema, table: str) -> list[str]:
    """Columns that take part in a join, each once."""
    columns: dict[str, None] = {}
    for key in schema.foreign_keys:
        for left, right in key.pairs:
            if key.table == table:
                columns[left] = None
            if key.parent == table:
                columns[right] = None
    return list(columns)
