"""What SQLite itself says of the tables of a DDL."""

from __future__ import annotations

import enum
import re
import sqlite3
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter


class Affinity(enum.StrEnum):
    """What a column prefers to hold (https://www.sqlite.org/datatype3.html, 3.1), as far as rows differ by it."""

    NUMBER = "number"
    TEXT = "text"


@dataclass(frozen=True)
class Column:
    """One that rows give a value; generated columns are none."""

    name: str
    affinity: Affinity
    is_nullable: bool
    is_unique: bool
    """By itself, not only together with others."""


@dataclass(frozen=True)
class Reference:
    """A declared foreign key; `pairs` are (column, parent's column)."""

    parent: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """Names are in lower case."""

    name: str
    columns: tuple[Column, ...]
    references: tuple[Reference, ...]


def read_catalogue(database: sqlite3.Connection) -> tuple[Table, ...]:
    """Every table, parents before the tables that refer to them unless they refer to each other."""
    names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    tables = {name.lower(): _table(database, name) for name in names if not name.startswith("sqlite_")}
    graph = {
        name: {reference.parent for reference in table.references if reference.parent in tables} - {name}
        for name, table in tables.items()
    }
    try:
        return tuple(tables[name] for name in TopologicalSorter(graph).static_order())
    except CycleError:
        return tuple(tables.values())


def _table(database: sqlite3.Connection, name: str) -> Table:
    rows = database.execute('SELECT name, type, "notnull", pk FROM pragma_table_xinfo(?) WHERE hidden = 0', (name,))
    declared = rows.fetchall()
    primary = [column for column, _, _, place in declared if place]
    unique = _unique_columns(database, name) | (set(primary) if len(primary) == 1 else set())
    columns = [
        Column(column.lower(), _affinity(kind), is_nullable=not (required or place), is_unique=column in unique)
        for column, kind, required, place in declared
    ]
    return Table(name.lower(), tuple(columns), _references(database, name))


def _unique_columns(database: sqlite3.Connection, table: str) -> set[str]:
    indexes = database.execute(
        "SELECT list.name, MIN(info.name) FROM pragma_index_list(?) AS list, pragma_index_info(list.name) AS info "
        'WHERE list."unique" AND NOT list.partial GROUP BY list.name HAVING COUNT(*) = 1',
        (table,),
    )
    return {column for _, column in indexes if column is not None}


def _references(database: sqlite3.Connection, table: str) -> tuple[Reference, ...]:
    found: dict[int, list[tuple[str, str, str | None]]] = {}
    rows = database.execute(
        'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id, seq', (table,)
    )
    for key, parent, column, target in rows:
        found.setdefault(key, []).append((parent, column, target))
    return tuple(_reference(database, pairs) for pairs in found.values())


def _reference(database: sqlite3.Connection, pairs: list[tuple[str, str, str | None]]) -> Reference:
    """A key that names no column of its parent means the parent's primary key."""
    parent = pairs[0][0]
    primary = database.execute("SELECT name FROM pragma_table_xinfo(?) WHERE pk ORDER BY pk", (parent,)).fetchall()
    targets = [
        target or primary[place][0] for place, (_, _, target) in enumerate(pairs) if target or place < len(primary)
    ]
    named = zip((column for _, column, _ in pairs), targets, strict=False)
    return Reference(parent.lower(), tuple((column.lower(), target.lower()) for column, target in named))


def _affinity(declared: str) -> Affinity:
    is_number = re.search("INT", declared, re.IGNORECASE)
    is_text = re.search("CHAR|CLOB|TEXT|BLOB|DATE|TIME", declared, re.IGNORECASE) or not declared
    return Affinity.TEXT if is_text and not is_number else Affinity.NUMBER
