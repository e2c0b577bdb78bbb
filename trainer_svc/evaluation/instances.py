"""Small databases made for one statement, on which statements that differ from it give other results.

After Zhong, Yu and Klein 2020 (arXiv 2010.02840): one real database calls too many wrong statements right. Theirs are
drawn at random; these hold the values at which the statement's own comparisons turn.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scipy.cluster.hierarchy import DisjointSet

from trainer_svc.evaluation.boundary import (
    Boundaries,
    Boundary,
    Place,
    Value,
    beside_each_other,
    read_boundaries,
    read_checks,
)
from trainer_svc.evaluation.catalogue import Affinity, Column, Reference, Table, read_catalogue
from trainer_svc.evaluation.database import make_read_only, open_copy, open_database

_ATTEMPTS = 4
"""Of a row that a constraint refuses, each with other values."""


@dataclass(frozen=True)
class _Style:
    """How the rows of one instance are drawn."""

    row_count: int
    rows_per_count: float
    """Rows that a LIMIT or a comparison of a count needs, as a multiple; what is more of both is drawn."""
    near_ratio: float
    """Share of values that satisfy a comparison of the statement."""
    null_ratio: float
    free_values: int
    """Of a column that the statement compares with nothing; few make ties and duplicates, 0 makes each row differ."""


_MAX_SINGLES = 24
"""Values just beside that are tried one by one; of most statements that is all of them."""
_SINGLE = _Style(1, 0, near_ratio=1, null_ratio=0, free_values=1)
"""A row in each table that satisfies all that can be satisfied at once, or all but one: for AND."""
_LONE = _Style(1, 0, near_ratio=0, null_ratio=0, free_values=1)
"""One that satisfies nothing, or a single thing: for OR."""
_STYLES = (
    *(_Style(2, 0, near_ratio=ratio, null_ratio=0.1, free_values=3) for ratio in (0.3, 0.5, 0.7)),
    _Style(4, 0, near_ratio=0.8, null_ratio=0.3, free_values=3),
    _Style(12, 1, near_ratio=0.8, null_ratio=0.3, free_values=0),
    _Style(12, 1, near_ratio=0.75, null_ratio=0, free_values=0),
    _Style(12, 1, near_ratio=0.6, null_ratio=0.15, free_values=2),
    _Style(18, 1.5, near_ratio=0.85, null_ratio=0.05, free_values=3),
    _Style(24, 2, near_ratio=0.6, null_ratio=0.2, free_values=4),
    _Style(30, 2.5, near_ratio=0.6, null_ratio=0.1, free_values=0),
)
"""Rows at random, few and many: what takes several rows to see, like duplicates, ties and orders."""


class InstanceMaker:
    """Makes the databases of statements on one DDL.

    Raises:
        InvalidInput: as `open_database`.
    """

    def __init__(self, ddl: str) -> None:
        with open_database(ddl, "") as database:
            self._empty = _image(database)
        with open_copy(self._empty) as database:
            self._tables = read_catalogue(database)
        self._checks = read_checks(ddl, self._tables)

    def databases(self, statement: str, other: str = "") -> Iterator[sqlite3.Connection]:
        """Read-only ones, each closed when the next is asked for; the same in every run.

        First an empty one; then with one row in each table, which satisfies what the statement asks for or does not,
        and the same with a value just beside in one column, since one row decides where many hide it (MIN(a) tells
        a < 3 from a <= 3 only where nothing is below 3); then with more rows at random. Declared foreign keys hold,
        but in rows with a value of their own; where a constraint refuses a row there is one less. Values that
        `other` names stand beside those of the statement: only there an `IN` with one more differs.
        """
        boundaries = beside_each_other(*(read_boundaries(text, self._tables) for text in (statement, other)))
        with open_copy(self._empty) as database:
            make_read_only(database)
            yield database
        beside = [{place: value} for place, boundary in sorted(boundaries.values.items()) for value in boundary.far]
        kinds: list[tuple[_Style, dict[Place, Value]]] = [
            (_SINGLE, {}),
            *((_SINGLE, one) for one in beside[:_MAX_SINGLES]),
        ]
        for number, (style, fixed) in enumerate([*kinds, *((style, {}) for style in _STYLES)]):
            source = random.Random(f"{number} {statement}")
            draw = _Draw(
                source, style, self._tables, _pools(self._tables, boundaries, self._checks), boundaries.count, fixed
            )
            with open_copy(self._empty) as database:
                draw.fill(database)
                make_read_only(database)
                yield database


def _image(database: sqlite3.Connection) -> bytes:
    database.set_authorizer(None)
    return database.serialize()


class _Draw:
    """The rows of one instance."""

    def __init__(
        self,
        source: random.Random,
        style: _Style,
        tables: Sequence[Table],
        pools: Mapping[Place, Boundary],
        count: int,
        fixed: Mapping[Place, Value],
    ) -> None:
        self._random, self._style, self._tables, self._pools, self._fixed = source, style, tables, pools, fixed
        self._row_count = max(style.row_count, int((count + 2) * style.rows_per_count))
        self._rows: dict[str, list[dict[str, Value]]] = {}
        """Accepted ones, by table."""

    def fill(self, database: sqlite3.Connection) -> None:
        """Inserts what the constraints let in."""
        for table in self._tables:
            self._rows[table.name] = rows = []
            for index in range(self._row_count):
                for attempt in range(_ATTEMPTS):
                    row = self._row(table, index + attempt * self._row_count)
                    if _insert(database, table, row):
                        rows.append(row)
                        break

    def _row(self, table: Table, index: int) -> dict[str, Value]:
        row = {column.name: self._value(table, column, index) for column in table.columns}
        for reference in table.references:
            row |= self._referred(table, reference)
        return row

    def _referred(self, table: Table, reference: Reference) -> dict[str, Value]:
        """The key of a row of the parent; without any, NULL, which a constraint may refuse."""
        parents = self._rows.get(reference.parent)
        nullable = all(column.is_nullable for column in table.columns if column.name in dict(reference.pairs))
        if not parents or (nullable and self._random.random() < self._style.null_ratio):
            return {column: None for column, _ in reference.pairs}
        parent = self._random.choice(parents)
        return {column: parent.get(target) for column, target in reference.pairs}

    def _value(self, table: Table, column: Column, index: int) -> Value:
        place = table.name, column.name
        if place in self._fixed:
            return self._fixed[place]
        pool = self._pools.get(place)
        if column.is_unique:
            return self._distinct(column, pool, index)
        if column.is_nullable and self._random.random() < self._style.null_ratio:
            return None
        if pool is None:
            return self._free(column, index)
        if self._random.random() < self._style.near_ratio:
            return self._random.choice(pool.near) if self._style.near_ratio < 1 else pool.near[0]
        return self._random.choice(pool.far) if pool.far else self._free(column, index)

    def _distinct(self, column: Column, pool: Boundary | None, index: int) -> Value:
        """Values that satisfy the statement first, then those beside, then others."""
        known = [value for value in dict.fromkeys([*pool.near, *pool.far]) if value is not None] if pool else []
        return known[index] if index < len(known) else _plain(column, index + 1)

    def _free(self, column: Column, index: int) -> Value:
        if not self._style.free_values:
            # Neither rising nor falling with the row's number: the order of rows must not pass for an order.
            return _plain(column, 1 + (index * 7 + len(column.name)) % (self._row_count * 8))
        return _plain(column, self._random.randrange(self._style.free_values) + 1)


def _plain(column: Column, number: int) -> Value:
    if column.affinity is Affinity.NUMBER:
        return number
    letters = "abcdefghijklmnopqrstuvwxyz"
    return letters[number % 26] * (1 + number // 26)


def _insert(database: sqlite3.Connection, table: Table, row: dict[str, Value]) -> bool:
    names = ", ".join('"' + name.replace('"', '""') + '"' for name in row)
    marks = ", ".join("?" * len(row))
    quoted = '"' + table.name.replace('"', '""') + '"'
    try:
        database.execute(f"INSERT INTO {quoted} ({names}) VALUES ({marks})", list(row.values()))
    except (sqlite3.Error, OverflowError):  # OverflowError: beyond 64 bits
        return False
    return True


def _pools(tables: Sequence[Table], boundaries: Boundaries, checks: Boundaries) -> dict[Place, Boundary]:
    """Values by column; columns that are joined or compared with each other draw from one pool."""
    keys = [
        frozenset(((table.name, column), (reference.parent, target)))
        for table in tables
        for reference in table.references
        for column, target in reference.pairs
    ]
    affinities = {(table.name, column.name): column for table in tables for column in table.columns}
    pools: dict[Place, Boundary] = {}
    for group in _groups([*boundaries.equated, *keys]):
        members = [place for place in sorted(group) if place in affinities]
        near = [value for place in members if place in boundaries.values for value in boundaries.values[place].near]
        far = [value for place in members if place in boundaries.values for value in boundaries.values[place].far]
        plain: list[Value] = [_plain(affinities[place], number) for place in members[:1] for number in range(1, 5)]
        pool = Boundary(near or plain, far or plain)
        pools |= dict.fromkeys(members, pool)
    for place, boundary in [*boundaries.values.items(), *checks.values.items()]:
        pools.setdefault(place, boundary)
    return pools


def _groups(pairs: Sequence[frozenset[Place]]) -> list[set[Place]]:
    """Sets of places that are connected."""
    groups = DisjointSet({place for pair in pairs for place in pair})
    for pair in pairs:
        groups.merge(min(pair), max(pair))
    return list(groups.subsets())
