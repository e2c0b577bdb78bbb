"""At which values of which columns the result of a statement changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from trainer_svc.evaluation.catalogue import Table
from trainer_svc.evaluation.statement import read_select

Value = str | int | float | None
Place = tuple[str, str]
"""A table and one of its columns, in lower case."""
_Node = Any  # sqlglot ships no usable types

_MAX_COUNT = 20
"""Of rows that a LIMIT or a comparison with a count asks for: what is beyond is not told apart."""
_FLIPPED = {exp.GT: exp.LT, exp.LT: exp.GT, exp.GTE: exp.LTE, exp.LTE: exp.GTE}


@dataclass(frozen=True)
class Boundary:
    """The values on both sides of the comparisons of one column."""

    near: list[Value] = field(default_factory=list)
    """They satisfy one of them."""
    far: list[Value] = field(default_factory=list)
    """Just beside."""


@dataclass(frozen=True)
class Boundaries:
    """What a statement compares its columns with."""

    values: Mapping[Place, Boundary]
    equated: Sequence[frozenset[Place]]
    """Columns that are compared with each other."""
    count: int
    """The largest number of rows that a LIMIT or a comparison of a count names; 0 without one."""


def read_boundaries(statement: str, tables: Sequence[Table]) -> Boundaries:
    """Of one SELECT in SQLite's dialect; nothing of a text that is none."""
    node = read_select(statement, "sqlite")
    return Boundaries({}, (), 0) if node is None else _Reader(tables).read(node)


def beside_each_other(first: Boundaries, other: Boundaries) -> Boundaries:
    """The first ones, with all that the others know besides on the far side."""
    values = dict(first.values)
    for place, extra in other.values.items():
        own = values.get(place, Boundary())
        known = [*own.near, *own.far]
        far = [value for value in dict.fromkeys([*extra.near, *extra.far]) if value not in known]
        values[place] = Boundary(own.near, own.far + far) if known else extra
    return Boundaries(values, [*first.equated, *other.equated], max(first.count, other.count))


def read_checks(ddl: str, tables: Sequence[Table]) -> Boundaries:
    """Of the CHECK constraints of a DDL in SQLite's dialect; nothing of one that sqlglot cannot read."""
    values: dict[Place, Boundary] = {}
    try:
        creates = [statement for statement in sqlglot.parse(ddl, read="sqlite") if statement is not None]
    except (SqlglotError, RecursionError):
        creates = []
    for create in creates:
        own = {table.name.lower() for table in create.find_all(exp.Table)}
        reader = _Reader([table for table in tables if table.name in own])
        for check in create.find_all(exp.CheckColumnConstraint):
            values |= reader.read(check).values
    return Boundaries(values, (), 0)


class _Reader:
    def __init__(self, tables: Sequence[Table]) -> None:
        self._columns = {table.name: {column.name for column in table.columns} for table in tables}
        self._names: dict[str, str] = {name: name for name in self._columns}
        """Tables by the names and aliases of the statement, whatever their scope."""
        self._values: defaultdict[Place, Boundary] = defaultdict(Boundary)
        self._equated: list[frozenset[Place]] = []
        self._count = 0

    def read(self, node: _Node) -> Boundaries:
        for table in node.find_all(exp.Table):
            if table.name.lower() in self._columns:
                self._names[table.alias_or_name.lower()] = table.name.lower()
        for part in node.walk():
            match part:
                case exp.Between():
                    self._between(part)
                case exp.In():
                    self._in(part)
                case exp.Limit() | exp.Offset():
                    self._note_count(_literal(part.expression))
                case exp.EQ() | exp.NEQ() | exp.GT() | exp.GTE() | exp.LT() | exp.LTE() | exp.Like() | exp.Is():
                    self._compare(part)
        return Boundaries(self._values, self._equated, self._count)

    def _compare(self, node: _Node) -> None:
        for side, other, kind in (
            (node.this, node.expression, type(node)),
            (node.expression, node.this, _FLIPPED.get(type(node), type(node))),
        ):
            places, literal = list(self._places(side)), self._text_or_literal(other)
            if literal is None:
                self._equate(places, other)
            elif places:
                for place in places:
                    self._add(place, *_sides(kind, literal[0]))
            elif side.find(exp.Count):
                self._note_count(literal)

    def _between(self, node: _Node) -> None:
        ends = [self._text_or_literal(node.args[name]) for name in ("low", "high")]
        for place in self._places(node.this):
            for kind, end in zip((exp.GTE, exp.LTE), ends, strict=True):
                if end is not None:
                    near, far = _sides(kind, end[0])
                    self._add(place, near[:1], far + near[1:])

    def _in(self, node: _Node) -> None:
        places = list(self._places(node.this))
        for item in node.expressions:
            literal = self._text_or_literal(item)
            for place in places if literal is not None else ():
                self._add(place, *_sides(exp.EQ, literal[0] if literal else None))
        if node.args.get("query") is not None:
            self._equate(places, node.args["query"])

    def _equate(self, places: Sequence[Place], other: _Node) -> None:
        """With the columns of the other side, which may be a subquery."""
        select = other.find(exp.Select)
        sources = select.expressions if select is not None else [other]
        others = [place for source in sources for place in self._places(source)]
        self._equated += [frozenset((place, target)) for place in places for target in others]

    def _places(self, node: _Node) -> Iterator[Place]:
        """The columns of an expression, not those inside its subqueries."""
        for part in node.walk(prune=lambda part: isinstance(part, exp.Select)):
            if isinstance(part, exp.Column):
                yield from self._find(part)

    def _find(self, column: _Node) -> Iterator[Place]:
        name, source = column.name.lower(), column.table.lower()
        tables = [self._names[source]] if source in self._names else [] if source else list(set(self._names.values()))
        yield from ((table, name) for table in sorted(tables) if name in self._columns[table])

    def _text_or_literal(self, node: _Node) -> tuple[Value] | None:
        """A literal in a tuple; text in double quotes that names no column is one to SQLite."""
        node = node.unnest()
        # args, since a star is a column without quotes
        if isinstance(node, exp.Column) and node.this.args.get("quoted") and not node.table:
            return None if list(self._find(node)) else (node.name,)
        return _literal(node)

    def _add(self, place: Place, near: Sequence[Value], far: Sequence[Value]) -> None:
        boundary = self._values[place]
        boundary.near.extend(value for value in near if value not in boundary.near)
        boundary.far.extend(value for value in far if value not in boundary.far)

    def _note_count(self, literal: tuple[Value] | None) -> None:
        if literal is not None and isinstance(literal[0], int):
            self._count = max(self._count, min(literal[0], _MAX_COUNT))


def _literal(node: _Node) -> tuple[Value] | None:
    if isinstance(node, exp.Null):
        return (None,)
    if isinstance(node, exp.Neg) and (inner := _literal(node.this)) and isinstance(inner[0], int | float):
        return (-inner[0],)
    if not isinstance(node, exp.Literal):
        return None
    if node.is_string:
        return (str(node.this),)
    try:
        number = float(node.this)
    except ValueError:  # hexadecimal
        return None
    return (int(number) if number.is_integer() else number,)


def _sides(kind: _Node, value: Value) -> tuple[list[Value], list[Value]]:
    """Values that satisfy `column KIND value`, and values just beside."""
    if value is None:
        return [None], []
    if kind is exp.Like:
        return _fitting(str(value))
    below: Value = value[:-1] if isinstance(value, str) else value - 1
    above: Value = value + "x" if isinstance(value, str) else value + 1
    far_below: Value = "" if isinstance(value, str) else value - 10
    far_above: Value = value + "y" if isinstance(value, str) else value + 10
    near: dict[_Node, list[Value]] = {
        exp.GT: [above, far_above],
        exp.GTE: [value, above],
        exp.LT: [below, far_below],
        exp.LTE: [value, below],
        exp.NEQ: [above, below],
    }
    satisfying = near.get(kind, [value])
    others = [value, below, above, *([value.swapcase()] if isinstance(value, str) else [])]
    return satisfying, [other for other in others if other not in satisfying]


def _fitting(pattern: str) -> tuple[list[Value], list[Value]]:
    """Texts that LIKE the pattern, and texts with more around it."""
    shortest = pattern.replace("%", "").replace("_", "q")
    longer = pattern.replace("%", "z").replace("_", "q")
    return [longer, shortest], [f"y{shortest}", f"{shortest}y", shortest[:-1]]
