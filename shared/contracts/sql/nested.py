"""The nested language of a schema: a context-free grammar of SELECT statements with subqueries wherever they may stand.

Rules are indexed by what stands in FROM (a joined set of tables, or a derived table of a shape), so a column that is
not in scope cannot be spelled; and by the levels of SELECT that may still open, because SQLite's parser has a stack of
100 entries (3.40: ten nested subqueries fit, fifteen do not). Each string here is a lexical unit: see `Rule`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from shared.contracts.grammar import expression as ex
from shared.contracts.grammar.charset import CharSet
from shared.contracts.grammar.expression import Expression, Reference, Text
from shared.contracts.grammar.grammar import Grammar
from shared.contracts.sql.edge import TableSet
from shared.contracts.sql.part import CONTROLS, LIMIT, NUMBER, string
from shared.contracts.sql.rules import RuleBook, listed, one_of, texts, units
from shared.contracts.sql.schema import Column, ColumnKind, Table
from shared.contracts.sql.scoped import Lexicon, ScopeRules, scope_rules

MAX_DEPTH = 5
"""SELECTs inside the outermost one, one in the other."""
DERIVED = "derived"
"""The name of every derived table: each is alone in its FROM, and subqueries see no name from outside."""
MAX_DERIVED_COLUMNS = 2
MAX_ARM_ITEMS = 3
"""Columns of the statements that UNION, INTERSECT and EXCEPT combine."""

_SET_OPERATIONS = (" UNION ", " UNION ALL ", " INTERSECT ")
_DISTINCT = ex.optional(Text("DISTINCT "))
_KINDS = {"N": ColumnKind.NUMBER, "T": ColumnKind.TEXT}
SHAPES = tuple(
    "".join(kinds) for count in range(1, MAX_DERIVED_COLUMNS + 1) for kinds in itertools.product(_KINDS, repeat=count)
)


@dataclass(frozen=True)
class _Select:
    """What the SELECTs from one scope are made of at one depth."""

    scope: ScopeRules
    body: Reference
    """FROM and WHERE."""
    group: Reference
    """GROUP BY and HAVING."""


def derived_table(shape: str) -> Table:
    """The columns of a derived table: `c_1`, `c_2`."""
    return Table(DERIVED, tuple(Column(f"c_{n}", _KINDS[kind]) for n, kind in enumerate(shape, 1)))


def lexicon(book: RuleBook, *, backslash_escapes: bool = False) -> Lexicon:
    """Adds the units that are spelled alike in every scope."""
    forbidden = CONTROLS | CharSet.chars("\\") if backslash_escapes else CONTROLS
    return Lexicon(
        number=book.add("number", NUMBER.expression, terminal=True),
        string=book.add("string", string(forbidden).expression, terminal=True),
        limit=book.add("limit", LIMIT.expression, terminal=True),
        compare=book.add("compare", texts(" = ", " <> ", " < ", " <= ", " > ", " >= ")),
        arithmetic=book.add("arithmetic", texts(" + ", " - ", " * ", " / ")),
        joint=book.add("joint", texts(" AND ", " OR ")),
    )


def nested_grammar(sets: Sequence[TableSet]) -> Grammar:
    """The whole language over these sets of tables."""
    book = RuleBook()
    builder = _Builder(book, lexicon(book), sets)
    for depth in range(MAX_DEPTH + 1):
        builder.deepen(depth)
    return book.grammar(builder.root())


class _Builder:
    def __init__(self, book: RuleBook, words: Lexicon, sets: Sequence[TableSet]) -> None:
        self._book, self._lexicon = book, words
        self._joined = [
            (scope_rules(book, words, f"s{number}", tables.tables), book.add(f"from.s{number}", from_clause(tables)))
            for number, tables in enumerate(sets)
        ]
        self._shaped = {shape: scope_rules(book, words, f"d{shape}", [derived_table(shape)]) for shape in SHAPES}
        self._selects: list[_Select] = []
        self._query: Reference | None = None
        self._derived: dict[str, Reference] = {}

    def deepen(self, depth: int) -> None:
        """Rules of the SELECTs that hold at most `depth` levels, out of those one level below."""
        selects = [self._select(scope, source, depth) for scope, source in self._joined]
        for shape, query in self._derived.items():
            source = units("(", query, ") AS ", DERIVED)
            selects.append(self._select(self._shaped[shape], source, depth))
        self._selects = selects
        more = self._more(1, depth)
        singles = [_spelled(select.scope.item, self._rest(select, f"1.{depth}", more)) for select in selects]
        self._query = self._book.add(f"query.{depth}", *singles)
        self._derived = {shape: self._derived_query(shape, depth) for shape in SHAPES if self._has(shape)}

    def root(self) -> Reference:
        """The statements of the greatest depth. Each list is read once, whatever its length and what follows it."""
        more = [self._more(count, -count) for count in range(1, MAX_ARM_ITEMS + 1)]
        branches = []
        for select in self._selects:
            another = units(", ", select.scope.item)
            tail: Expression = units(ex.repeat(another, 1, None), self._rest(select, "list", None))
            for count in range(MAX_ARM_ITEMS, 0, -1):
                tail = one_of([self._rest(select, f"list.{count}", more[count - 1]), tail])
                tail = units(select.scope.item if count == 1 else another, tail)
            branches.append(_spelled(tail))
        return self._book.add("statement", *branches)

    def _select(self, scope: ScopeRules, source: Expression, depth: int) -> _Select:
        name = f"{scope.name}.{depth}"
        predicate = self._book.add(f"predicate.{name}", scope.predicate, *self._subquery_predicates(scope))
        where = ex.optional(units(" WHERE ", listed(predicate, self._lexicon.joint)))
        body = self._book.add(f"body.{name}", units(" FROM ", source, where))
        having = ex.optional(units(" HAVING ", listed(self._having(scope, name), self._lexicon.joint)))
        group = self._book.add(f"group.{name}", units(" GROUP BY ", listed(scope.column, ", "), having))
        return _Select(scope, body, group)

    def _rest(self, select: _Select, name: str, more: Reference | None) -> Reference:
        """From FROM to the end: ORDER BY and LIMIT, or the other parts of a set operation."""
        combined = [] if more is None else [more]
        grouped = one_of([select.scope.group_end, *combined])
        end = one_of([select.scope.end, units(select.group, grouped), *combined])
        return self._book.add(f"rest.{name}.{select.body.rule}", units(select.body, end))

    def _subquery_predicates(self, scope: ScopeRules) -> list[Expression]:
        if self._query is None:
            return []
        nested = units(self._query, ")")
        return [
            units(scope.column, self._lexicon.compare, "(", nested),
            units(scope.column, texts(" IN (", " NOT IN ("), nested),
            units(texts("EXISTS (", "NOT EXISTS ("), nested),
        ]

    def _having(self, scope: ScopeRules, name: str) -> Reference:
        nested = [] if self._query is None else [units("(", self._query, ")")]
        right = one_of([self._lexicon.number, scope.measure, *nested])
        between = units(scope.measure, texts(" BETWEEN ", " NOT BETWEEN "), self._lexicon.number)
        return self._book.add(
            f"having.{name}",
            units(scope.measure, self._lexicon.compare, right),
            units(between, " AND ", self._lexicon.number),
        )

    def _more(self, count: int, depth: int) -> Reference:
        """What may follow a SELECT of `count` items: others of as many."""
        branches = []
        for select in self._selects:
            items = ex.sequence([select.scope.item, *[units(", ", select.scope.item)] * (count - 1)])
            branches.append(_spelled(items, select.body, ex.optional(select.group)))
        arm = self._book.add(f"arms.{count}.{depth}", *branches)
        return self._book.add(f"more.{count}.{depth}", further(arm))

    def _has(self, shape: str) -> bool:
        return any(select.scope.can_fill(shape) for select in self._selects)

    def _derived_query(self, shape: str, depth: int) -> Reference:
        filled = [(select, select.scope.filled(shape)) for select in self._selects if select.scope.can_fill(shape)]
        branches = [_spelled(items, select.body, ex.optional(select.group)) for select, items in filled]
        more = self._book.add(f"more.{shape}.{depth}", further(self._book.add(f"arms.{shape}.{depth}", *branches)))
        whole = [_spelled(items, self._rest(select, f"{shape}.{depth}", more)) for select, items in filled]
        return self._book.add(f"derived.{shape}.{depth}", *whole)


def _spelled(*parts: Expression) -> Expression:
    return units("SELECT ", _DISTINCT, *parts)


def further(arm: Reference) -> Expression:
    """The parts of a set operation after its first; of one operator, because dialects bind mixed chains differently."""
    chains = [ex.repeat(units(operator, arm), 1, None) for operator in _SET_OPERATIONS]
    return one_of([*chains, units(" EXCEPT ", arm)])


def from_clause(tables: TableSet) -> Expression:
    """What follows FROM: every way to join the tables."""
    branches = [units(*tree.units) for tree in tables.trees]
    if tables.alternatives:
        first = tables.trees[0].units
        head = first[: first.index(" ON ") + 1]
        pairs = itertools.combinations(tables.alternatives, 2)
        branches.append(units(*head, one_of(units(*left, " OR ", *right) for left, right in pairs)))
    return one_of(branches)
