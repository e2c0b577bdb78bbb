"""A statement in the canonical spelling of the nested profile."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from shared.contracts.sql.boolean import conjuncts, disjunction
from shared.contracts.sql.ending import EndingWriter
from shared.contracts.sql.item import Item, write_items
from shared.contracts.sql.nested import DERIVED, MAX_DEPTH, MAX_DERIVED_COLUMNS
from shared.contracts.sql.predicate import Predicate, PredicateWriter
from shared.contracts.sql.profile import SqlLanguage
from shared.contracts.sql.refusal import violated
from shared.contracts.sql.schema import Column, ColumnKind
from shared.contracts.sql.scope import DerivedTable, NameScope
from shared.contracts.sql.source import Source, from_clause, read_source

_Node = Any  # sqlglot ships no usable types
_OPERATORS = {exp.Union: "UNION", exp.Intersect: "INTERSECT", exp.Except: "EXCEPT"}


class NestedWriter:
    """Everything keeps its order; derived tables and their columns get the language's own names."""

    def __init__(self, language: SqlLanguage) -> None:
        self._language = language

    def statement(self, query: _Node) -> str:
        """Raises `InvalidInput` (`CONTRACT_VIOLATED`) for what the language has not."""
        depth = _depth(query)
        if depth > MAX_DEPTH:
            raise violated([f"SELECTs are nested {depth} deep; the nested profile has {MAX_DEPTH}"])
        return self._query(query, None)[0]

    def _query(self, query: _Node, parent: NameScope | None, *, is_derived: bool = False) -> tuple[str, list[Item]]:
        """Text and columns of a SELECT or a set operation."""
        operator, arms = _arms(query)
        written = [self._select(arm, parent, is_arm=len(arms) > 1, is_derived=is_derived) for arm in arms]
        items = written[0][1]
        if any(len(others) != len(items) for _, others in written):
            raise violated([f"{operator} of statements with different numbers of columns"])
        merged = [Item(item.text, _common([others[n].kind for _, others in written])) for n, item in enumerate(items)]
        return f" {operator} ".join(text for text, _ in written), merged

    def _select(
        self, select: _Node, parent: NameScope | None, *, is_arm: bool, is_derived: bool
    ) -> tuple[str, list[Item]]:
        scope = NameScope(self._language.schema, parent)
        source = self._source(select, scope)
        items = self._items(select, scope)
        if is_derived:
            shown = [f"{item.text} AS c_{number}" for number, item in enumerate(items, 1)]
        else:
            shown = [item.text for item in items]
        ending = EndingWriter(select, scope, self._single).write()
        if is_arm and any(select.args.get(clause) is not None for clause in ("order", "limit", "offset")):
            raise violated(["ORDER BY or LIMIT beside a set operation"])
        head = "SELECT DISTINCT " if select.args.get("distinct") else "SELECT "
        where = self._condition(source.conditions, scope)
        return head + ", ".join(shown) + f" FROM {source.text}{where}{ending}", items

    def _items(self, select: _Node, scope: NameScope) -> list[Item]:
        """EXISTS asks for rows only, so its literals and stars may be any column."""
        is_tested = isinstance(select.parent, exp.Exists)
        if is_tested and all(isinstance(node.unalias(), exp.Literal | exp.Star) for node in select.expressions):
            name, table = next(iter(scope.sources.items()))
            comparable = [key for key, column in table.by_lower.items() if column.kind is not ColumnKind.OTHER]
            return write_items([exp.column((comparable or list(table.by_lower))[0], table=name)], scope)
        return write_items(select.expressions, scope)

    def _condition(self, nodes: list[_Node], scope: NameScope) -> str:
        if not nodes:
            return ""
        writer = PredicateWriter(scope, self._subquery, compares_columns=True)
        groups = [[writer.write(atom).text for atom in group] for group in disjunction(nodes)]
        return " WHERE " + " OR ".join(" AND ".join(group) for group in groups)

    def _subquery(self, query: _Node, scope: NameScope) -> Predicate:
        return Predicate(self._single(query, scope))

    def _single(self, query: _Node, scope: NameScope) -> str:
        text, items = self._query(query, scope)
        if len(items) != 1:
            raise violated([f"a subquery that selects {len(items)} columns instead of one"])
        return text

    def _source(self, select: _Node, scope: NameScope) -> Source:
        first = from_clause(select).this
        if not isinstance(first, exp.Subquery):
            return read_source(select, scope, self._language)
        if select.args.get("joins"):
            raise violated(["a join with a derived table"])
        text, items = self._query(first.this, scope.parent, is_derived=True)
        selected = _arms(first.this)[1][0].expressions
        names = tuple(node.alias_or_name for node in selected)
        if any(node.is_star for node in selected) or len({name.lower() for name in names}) < len(names):
            raise violated(["a derived table with a star or with two columns of one name"])
        if len(items) > MAX_DERIVED_COLUMNS:
            raise violated([f"a derived table of {len(items)} columns; the language has up to {MAX_DERIVED_COLUMNS}"])
        columns = tuple(Column(f"c_{number}", item.kind) for number, item in enumerate(items, 1))
        scope.sources[first.alias.lower() or DERIVED] = DerivedTable(DERIVED, columns, names=names)
        where = select.args.get("where")
        conditions = list(conjuncts(where.this if where is not None else None))
        return Source(f"({text}) AS {DERIVED}", is_single=True, conditions=conditions)


def _arms(query: _Node) -> tuple[str, list[_Node]]:
    """The operator and the SELECTs of a chain; one SELECT is a chain without operator."""
    if not isinstance(query, exp.SetOperation):
        return "", [query]
    operator = _operator(query)
    if any(query.args.get(clause) is not None for clause in ("order", "limit", "offset")):
        raise violated([f"ORDER BY or LIMIT after {operator}"])
    left_operator, left = _arms(query.this)
    if isinstance(query.expression, exp.SetOperation) or left_operator not in ("", operator):
        raise violated(["a chain of different set operations"])
    if left_operator == operator == "EXCEPT":
        raise violated(["a chain of EXCEPT"])
    return operator, [*left, query.expression]


def _common(kinds: list[ColumnKind]) -> ColumnKind:
    """The kind of a column that several SELECTs fill; any, also where they mix numbers and texts."""
    certain = set(kinds) - {ColumnKind.ANY}
    return certain.pop() if len(certain) == 1 else ColumnKind.ANY


def _operator(query: _Node) -> str:
    name = _OPERATORS[type(query)]
    if query.args.get("distinct"):
        return name
    if name != "UNION":
        raise violated([f"{name} ALL"])
    return "UNION ALL"


def _depth(query: _Node) -> int:
    """SELECTs one in the other, the outermost aside; the parts of a set operation lie side by side."""
    deepest, pending = 0, [(query, 0)]
    while pending:
        node, depth = pending.pop()
        deepest = max(deepest, depth)
        for child in node.iter_expressions():
            is_inner = isinstance(child, exp.Query) and not isinstance(child, exp.Subquery)
            is_inner = is_inner and not isinstance(node, exp.SetOperation)
            pending.append((child, depth + is_inner))
    return deepest
