"""The phrases of canonical SQL over the columns of one scope, as regular expressions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.contracts.sql.identifier import qualified
from shared.contracts.sql.part import (
    EMPTY,
    LIMIT,
    NOTHING,
    NUMBER,
    Part,
    alternatives,
    literal,
    separated,
    string,
    words,
)
from shared.contracts.sql.schema import Column, ColumnKind, Table

TEXT = string()
COMPARISON = words(["=", "<", "<=", "<>", ">", ">="])
_NOT = literal("NOT ").optional
_COMMA, _JOINT = literal(", "), words([" AND ", " OR "])
_DISTINCT = literal("DISTINCT ").optional


class Scope:
    """The columns that one SELECT sees, and the phrases over them."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = tuple(tables)
        self.columns = _columns(tables, tuple(ColumnKind))
        self.numbers = _columns(tables, (ColumnKind.NUMBER, ColumnKind.ANY))
        self.texts = _columns(tables, (ColumnKind.TEXT, ColumnKind.ANY))
        texts = [(t, c) for t in tables for c in t.columns if c.kind is not ColumnKind.NUMBER]
        self._free = _names((table, column) for table, column in texts if not column.values)
        self._listed = [(table, column) for table, column in texts if column.values]

    def aggregate(self, *, distinct: bool) -> Part:
        """An aggregate of one column, or COUNT(*)."""
        unique = _DISTINCT if distinct else EMPTY
        counted = literal("COUNT(") + unique
        any_kind = alternatives([words(["MAX(", "MIN("]), counted]) + self.columns + literal(")")
        summed = words(["SUM(", "AVG("]) + unique + self.numbers + literal(")")
        kept = [Part(literal("COUNT(*)").expression, 2), any_kind]
        return alternatives([*kept, summed] if self.numbers is not NOTHING else kept)

    def item(self, *, distinct: bool) -> Part:
        """What may stand in a SELECT list."""
        return alternatives([self.columns, self.aggregate(distinct=distinct)])

    def predicate(self, *, compares_columns: bool, subquery: Part = NOTHING) -> Part:
        """One condition without AND and OR; `subquery` is what may stand between parentheses, if anything."""
        kinds = [(self.numbers, NUMBER, EMPTY), (self._free, TEXT, literal("LIKE ") + TEXT)]
        kinds += [
            (literal(qualified(table, column)), words(written(value) for value in column.values), EMPTY)
            for table, column in self._listed
        ]
        options = [_literal_predicate(column, value, like) for column, value, like in kinds if column is not NOTHING]
        options.append(self.columns.shadow + literal(" IS ") + words(["NOT NULL", "NULL"]))
        if compares_columns:
            options += self._column_comparisons()
        if subquery is not NOTHING:
            options.append(self.subquery_opening.shadow + subquery + literal(")"))
        return alternatives(options)

    def _column_comparisons(self) -> list[Part]:
        """By the kind on the left, so that no comparison can be read in two ways: `re` would try all combinations."""
        rights = {ColumnKind.NUMBER: self.numbers, ColumnKind.TEXT: self.texts, ColumnKind.ANY: self.columns}
        lefts = [(_columns(self._tables, (kind,)), right) for kind, right in rights.items()]
        operator = literal(" ") + COMPARISON + literal(" ")
        return [left.shadow + operator + right for left, right in lefts if left is not NOTHING]

    @property
    def subquery_opening(self) -> Part:
        """A column, an operator and the parenthesis before a subquery."""
        operator = alternatives([COMPARISON, _NOT + literal("IN")])
        return self.columns + literal(" ") + operator + literal(" (")

    def condition(self, predicate: Part) -> Part:
        """Predicates joined by AND and OR, without parentheses."""
        return separated(predicate, _JOINT)

    def leading(self, predicate: Part) -> Part:
        """Predicates before a last one: each followed by AND or OR."""
        return (predicate.shadow + _JOINT.shadow).many

    def ending(self) -> Part:
        """GROUP BY with HAVING, ORDER BY, LIMIT."""
        aggregate = self.aggregate(distinct=True)
        having = separated(aggregate + literal(" ") + COMPARISON + literal(" ") + NUMBER, _JOINT)
        descending = literal(" DESC").optional
        grouped = (
            literal(" GROUP BY ")
            + separated(self.columns, _COMMA)
            + (literal(" HAVING ") + having).optional
            + (literal(" ORDER BY ") + separated(alternatives([self.columns, aggregate]) + descending, _COMMA)).optional
        )
        plain = (literal(" ORDER BY ") + separated(self.columns + descending, _COMMA)).optional
        return alternatives([grouped, plain]) + (literal(" LIMIT ") + LIMIT).optional


def written(value: str) -> str:
    """A text in single quotes."""
    return "'" + value.replace("'", "''") + "'"


def _literal_predicate(column: Part, value: Part, like: Part) -> Part:
    between = literal("BETWEEN ") + value.shadow + literal(" AND ") + value
    negatable = _NOT + alternatives([between] if like is EMPTY else [like, between])
    compared = COMPARISON + literal(" ") + value
    listed = _NOT.shadow + literal("IN (") + separated(value, _COMMA) + literal(")")
    return column + literal(" ") + alternatives([compared, negatable, listed])


def _columns(tables: Sequence[Table], kinds: Sequence[ColumnKind]) -> Part:
    return _names((table, column) for table in tables for column in table.columns if column.kind in kinds)


def _names(columns: Iterable[tuple[Table, Column]]) -> Part:
    names = [qualified(table, column) for table, column in columns]
    return words(names) if names else NOTHING
