"""The regular language of a schema: every canonical SELECT statement of a profile.

The tables of FROM are an index of the rules, so a column that is not in scope cannot be spelled. The language is
written such that the determinised automaton stays small without minimising: what follows an alternative is written once
behind it, and copies that are read in step (`Part.shadow`) cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.contracts.sql.edge import TableSet
from shared.contracts.sql.identifier import quote
from shared.contracts.sql.part import NOTHING, Part, alternatives, literal, separated, words
from shared.contracts.sql.phrase import Scope
from shared.contracts.sql.schema import SqlSchema, Table

_HEAD = literal("SELECT ") + literal("DISTINCT ").optional


@dataclass(frozen=True)
class Profile:
    """Which features the language of a schema has."""

    max_tables: int
    """Tables in one FROM."""
    free_subqueries: bool
    """A SELECT from one table may hold flat subqueries anywhere in its condition, not only as the last predicate."""
    max_depth: int
    """Levels of subqueries when each is the last predicate of its condition; 0 is none."""


def statement(schema: SqlSchema, sets: Sequence[TableSet], profile: Profile) -> Part:
    """The whole language."""
    flat = alternatives(_subquery(table) for table in schema.tables) if profile.free_subqueries else NOTHING
    ends, openings = [], []
    for tables in sets:
        scope = Scope(tables.tables)
        is_single = len(tables.tables) == 1
        predicate = scope.predicate(compares_columns=True, subquery=flat if is_single else NOTHING)
        head = _head(scope, tables)
        ends.append(head + (literal(" WHERE ") + scope.condition(predicate)).optional + scope.ending())
        if profile.max_depth:
            where = literal(" WHERE ") + scope.leading(predicate) + scope.subquery_opening
            openings.append((head + where).shadow)
    flat_and_free = alternatives(ends)
    if not openings:
        return flat_and_free
    nested = alternatives(openings) + _nested(schema, profile.max_depth) + literal(")")
    return alternatives([flat_and_free, nested])


def _head(scope: Scope, tables: TableSet) -> Part:
    """SELECT and FROM. The list is read in step for all sets that hold its tables, so it costs a part of its length."""
    items = separated(scope.item(distinct=True), literal(", "))
    return _HEAD.shadow + items + literal(" FROM ") + words(tree.text for tree in tables.trees)


def _subquery(table: Table) -> Part:
    scope = Scope([table])
    where = literal(" WHERE ") + scope.condition(scope.predicate(compares_columns=False))
    return _subquery_head(scope, table) + where.optional


def _subquery_head(scope: Scope, table: Table) -> Part:
    return literal("SELECT ").shadow + scope.item(distinct=False) + literal(f" FROM {quote(table.name)}")


def _nested(schema: SqlSchema, depth: int) -> Part:
    """What stands between the parentheses of a last predicate: a subquery that may end in one of its own."""
    flat = alternatives(_subquery(table) for table in schema.tables)
    if depth == 1:
        return flat
    openings = []
    for table in schema.tables:
        scope = Scope([table])
        leading = scope.leading(scope.predicate(compares_columns=False))
        openings.append((_subquery_head(scope, table) + literal(" WHERE ") + leading + scope.subquery_opening).shadow)
    return alternatives([flat, alternatives(openings) + _nested(schema, depth - 1) + literal(")")])
