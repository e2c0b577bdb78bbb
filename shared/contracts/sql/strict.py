"""The nested language where types and grouping are strict: PostgreSQL, MySQL and DuckDB.

As `nested`, and besides: what is compared is of one kind, also with a subquery; the items of a SELECT list are all
values of a row, all totals, or the values are exactly what GROUP BY names, by position.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from shared.contracts.grammar import expression as ex
from shared.contracts.grammar.expression import Expression, Reference, Text
from shared.contracts.grammar.grammar import Grammar
from shared.contracts.sql.edge import TableSet
from shared.contracts.sql.nested import DERIVED, MAX_DEPTH, MAX_DERIVED_COLUMNS, from_clause, further, lexicon
from shared.contracts.sql.part import date_literal
from shared.contracts.sql.rules import RuleBook, listed, one_of, texts, units
from shared.contracts.sql.schema import Column, Table
from shared.contracts.sql.scoped import Lexicon
from shared.contracts.sql.strict_scoped import KINDS, StrictScope, keys, order_by, strict_scope

MAX_ITEMS = 4
"""Items of a SELECT list that holds totals; a list of plain values has no limit."""
MAX_ARM_ITEMS = 2

_DISTINCT = ex.optional(Text("DISTINCT "))
_SHAPES = ["".join(k) for n in range(1, MAX_DERIVED_COLUMNS + 1) for k in itertools.product(KINDS, repeat=n)]


@dataclass(frozen=True)
class _Select:
    """What the SELECTs from one scope are made of at one depth."""

    scope: StrictScope
    body: Reference
    """FROM and WHERE."""
    having: Expression


def strict_grammar(sets: Sequence[TableSet], dialect: str) -> Grammar:
    """The whole language over these sets of tables."""
    book = RuleBook()
    words = lexicon(book, backslash_escapes=dialect == "mysql")
    builder = _Builder(book, words, sets, limits_subqueries=dialect != "mysql")
    for depth in range(MAX_DEPTH + 1):
        builder.deepen(depth)
    return book.grammar(builder.root())


class _Builder:
    """`limits_subqueries`: MySQL has no LIMIT in a subquery after IN."""

    def __init__(self, book: RuleBook, words: Lexicon, sets: Sequence[TableSet], *, limits_subqueries: bool) -> None:
        self._book, self._lexicon, self._limits_subqueries = book, words, limits_subqueries
        date = book.add("date", date_literal(), terminal=True)
        self._joined = [
            (strict_scope(book, words, date, f"s{n}", tables.tables), book.add(f"from.s{n}", from_clause(tables)))
            for n, tables in enumerate(sets)
        ]
        self._shaped = {shape: strict_scope(book, words, date, f"d{shape}", [_table(shape)]) for shape in _SHAPES}
        self._limit = ex.optional(units(" LIMIT ", words.limit, ex.optional(units(" OFFSET ", words.limit))))
        self._selects: list[_Select] = []
        self._queries: dict[str, Reference] = {}
        self._derived: dict[str, Reference] = {}

    def deepen(self, depth: int) -> None:
        """Rules of the SELECTs that hold at most `depth` levels, out of those one level below."""
        sources: list[tuple[StrictScope, Expression]] = [*self._joined]
        sources += [(self._shaped[s], units("(", query, ") AS ", DERIVED)) for s, query in self._derived.items()]
        self._selects = [self._select(scope, source, depth) for scope, source in sources]
        limit = self._limit if self._limits_subqueries else ex.EMPTY
        self._queries = dict(self._by_shape(KINDS, depth, "query", limit, is_named=False))
        self._derived = dict(self._by_shape(_SHAPES, depth, "derived", self._limit, is_named=True))

    def root(self) -> Reference:
        """The statements of the greatest depth."""
        branches: list[Expression] = []
        for select in self._selects:
            values = listed(select.scope.any_value, ", ")
            branches.append(units("SELECT ", values, select.body, order_by(select.scope.any_plain), self._limit))
            plain = units("SELECT DISTINCT ", listed(select.scope.any_plain, ", "), select.body, self._limit)
            branches += [plain] if select.scope.any_plain != ex.NOTHING else []
            for form in _forms(MAX_ITEMS if select.scope.any_plain != ex.NOTHING else 0) or "t":
                items = [select.scope.any_plain if place == "p" else select.scope.any_total for place in form]
                branches += [units(grouped, self._limit) for grouped in self._grouped(select, form, items)]
        shapes = ["".join(k) for n in range(1, MAX_ARM_ITEMS + 1) for k in itertools.product(KINDS, repeat=n)]
        for shape in shapes:
            arms = list(self._arms(shape, is_named=False))
            if arms:
                arm = self._book.add(f"arms.{shape}", *arms)
                branches.append(units(arm, further(arm)))
        return self._book.add("statement", *branches)

    def _select(self, scope: StrictScope, source: Expression, depth: int) -> _Select:
        name, words = f"{scope.name}.{depth}", self._lexicon
        predicate = self._book.add(f"predicate.{name}", scope.predicate, *self._subquery_predicates(scope))
        where = ex.optional(units(" WHERE ", listed(predicate, words.joint)))
        body = self._book.add(f"body.{name}", units(" FROM ", source, where))
        nested = [units("(", self._queries["N"], ")")] if "N" in self._queries else []
        measure = scope.total["N"]
        between = units(measure, texts(" BETWEEN ", " NOT BETWEEN "), words.number, " AND ", words.number)
        compared = units(measure, words.compare, one_of([words.number, measure, *nested]))
        having = self._book.add(f"having.{name}", compared, between)
        return _Select(scope, body, ex.optional(units(" HAVING ", listed(having, words.joint))))

    def _subquery_predicates(self, scope: StrictScope) -> Iterator[Expression]:
        for kind, query in self._queries.items():
            if kind in scope.columns:
                yield units(scope.columns[kind], self._lexicon.compare, "(", query, ")")
                yield units(scope.columns[kind], texts(" IN (", " NOT IN ("), query, ")")
            yield units(texts("EXISTS (", "NOT EXISTS ("), query, ")")

    def _by_shape(
        self, shapes: Iterable[str], depth: int, name: str, limit: Expression, *, is_named: bool
    ) -> Iterator[tuple[str, Reference]]:
        for shape in shapes:
            arms = list(self._arms(shape, is_named=is_named))
            if arms:
                arm = self._book.add(f"{name}.arms.{shape}.{depth}", *arms)
                whole = list(self._whole(shape, limit, is_named=is_named))
                yield shape, self._book.add(f"{name}.{shape}.{depth}", *whole, units(arm, further(arm)))

    def _whole(self, shape: str, limit: Expression, *, is_named: bool) -> Iterator[Expression]:
        """SELECTs of the shape with ORDER BY and LIMIT."""
        for select, form, items in self._items(shape, is_named=is_named):
            if "t" not in form:
                yield units("SELECT ", *_commas(items), select.body, order_by(select.scope.any_plain), limit)
                yield units("SELECT DISTINCT ", *_commas(items), select.body)
            for grouped in self._grouped(select, form, items):
                yield units(grouped, limit)

    def _arms(self, shape: str, *, is_named: bool) -> Iterator[Expression]:
        """SELECTs of the shape as parts of a set operation."""
        for select, form, items in self._items(shape, is_named=is_named):
            if "t" not in form:
                yield units("SELECT ", _DISTINCT, *_commas(items), select.body)
            yield from self._grouped(select, form, items, is_ordered=False)

    def _items(self, shape: str, *, is_named: bool) -> Iterator[tuple[_Select, str, list[Expression]]]:
        for select, form in itertools.product(self._selects, map("".join, itertools.product("pt", repeat=len(shape)))):
            if select.scope.can_fill(form, shape):
                items = select.scope.filled(form, shape)
                if is_named:
                    items = [units(item, " AS ", f"c_{number}") for number, item in enumerate(items, 1)]
                yield select, form, items

    def _grouped(
        self, select: _Select, form: str, items: Sequence[Expression], *, is_ordered: bool = True
    ) -> Iterator[Expression]:
        """SELECTs of totals, or of totals beside what they are grouped by."""
        head = units("SELECT ", *_commas(items), select.body)
        positions = [number for number, place in enumerate(form, 1) if place == "p"]
        totals = [select.scope.any_total] if is_ordered else []
        if positions:
            order = order_by(*totals, texts(*map(str, positions))) if is_ordered else ex.EMPTY
            yield units(head, keys(positions), select.having, order)
        else:
            order = order_by(*totals) if is_ordered else ex.EMPTY
            by_columns = units(" GROUP BY ", listed(select.scope.groupable, ", "), select.having, order)
            yield units(head, ex.optional(by_columns)) if select.scope.groupable != ex.NOTHING else head


def _forms(most: int) -> list[str]:
    return ["".join(form) for count in range(1, most + 1) for form in itertools.product("pt", repeat=count)]


def _table(shape: str) -> Table:
    return Table(DERIVED, tuple(Column(f"c_{n}", KINDS[kind]) for n, kind in enumerate(shape, 1)))


def _commas(items: Sequence[Expression]) -> list[Expression]:
    return [part for n, item in enumerate(items) for part in ((Text(", "), item) if n else (item,))]
