"""The phrases of canonical SQL over the columns of one scope, as regular expressions."""

from __future__ import annotations

from collections.abc import Sequence

from shared.contracts.sql.identifier import qualified
from shared.contracts.sql.part import EMPTY, NOTHING, Part, alternatives, literal, separated, words
from shared.contracts.sql.schema import ColumnKind, Table

NUMBER = Part(r"-?(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,6})?", 21)
TEXT = Part(r"'(?:[^'\x00-\x1f\x7f]|'')*'", 11)
"""Unbounded: the budget mask closes it, while a bound would cost states for every character."""
LIMIT = Part("[1-9][0-9]{0,3}", 4)
COMPARISON = Part("(?:=|<[=>]?|>=?)", 6)
_NOT = Part("(?:NOT )?", 4)
_COMMA, _JOINT = literal(", "), Part("(?: AND | OR )", 8)
_DISTINCT = Part("(?:DISTINCT )?", 9)


class Scope:
    """The columns that one SELECT sees, and the phrases over them."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = tuple(tables)
        self.columns = _columns(tables, tuple(ColumnKind))
        self.numbers = _columns(tables, (ColumnKind.NUMBER, ColumnKind.ANY))
        self.texts = _columns(tables, (ColumnKind.TEXT, ColumnKind.ANY))

    def aggregate(self, *, distinct: bool) -> Part:
        """An aggregate of one column, or COUNT(*)."""
        unique = _DISTINCT if distinct else EMPTY
        any_kind = Part(r"(?:MAX\(|MIN\(|COUNT\(", 13) + unique + Part(")", 0) + self.columns + literal(")")
        summed = Part(r"(?:SUM|AVG)\(", 8) + unique + self.numbers + literal(")")
        kept = [Part(r"COUNT\(\*\)", 2), any_kind]
        return alternatives([*kept, summed] if self.numbers is not NOTHING else kept)

    def item(self, *, distinct: bool) -> Part:
        """What may stand in a SELECT list."""
        return alternatives([self.columns, self.aggregate(distinct=distinct)])

    def predicate(self, *, compares_columns: bool, subquery: Part = NOTHING) -> Part:
        """One condition without AND and OR; `subquery` is what may stand between parentheses, if anything."""
        kinds = [(self.numbers, NUMBER, EMPTY), (self.texts, TEXT, literal("LIKE "))]
        options = [_literal_predicate(column, value, like) for column, value, like in kinds if column is not NOTHING]
        options.append(self.columns.shadow + Part(" IS (?:NOT )?NULL", 24))
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
        operator = Part("(?:", 0) + COMPARISON + Part("|", 0) + _NOT + literal("IN") + Part(")", 0)
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


def _literal_predicate(column: Part, value: Part, like: Part) -> Part:
    negatable = [like, literal("BETWEEN ") + value + literal(" AND ")]
    openings = [COMPARISON + literal(" "), _NOT + alternatives(option for option in negatable if option is not EMPTY)]
    listed = _NOT.shadow + literal("IN (") + separated(value, _COMMA) + literal(")")
    return column + literal(" ") + alternatives([alternatives(openings) + value, listed])


def _columns(tables: Sequence[Table], kinds: Sequence[ColumnKind]) -> Part:
    names = [qualified(table, column) for table in tables for column in table.columns if column.kind in kinds]
    return words(names) if names else NOTHING
