"""A statement in the canonical spelling of the flat profile."""

from __future__ import annotations

from typing import Any

from shared.contracts.sql.boolean import disjunction
from shared.contracts.sql.ending import EndingWriter
from shared.contracts.sql.item import write_items
from shared.contracts.sql.predicate import Predicate, PredicateWriter
from shared.contracts.sql.profile import SqlLanguage
from shared.contracts.sql.refusal import violated
from shared.contracts.sql.scope import NameScope
from shared.contracts.sql.source import read_source

_Node = Any  # sqlglot ships no usable types


class FlatWriter:
    """AND-ed predicates keep their order, except that a subquery goes where the automaton has one: last."""

    def __init__(self, language: SqlLanguage) -> None:
        self._language = language
        self._profile = language.profile

    def statement(self, select: _Node) -> str:
        """Raises `InvalidInput` (`CONTRACT_VIOLATED`) for what the language has not."""
        scope = NameScope(self._language.schema)
        source = read_source(select, scope, self._language)
        items = [item.text for item in write_items(select.expressions, scope)]
        distinct = select.args.get("distinct")
        writer = PredicateWriter(scope, self._subquery, compares_columns=True)
        free_depth = 1 if source.is_single and self._profile.free_subqueries else 0
        condition = _condition(source.conditions, writer, free_depth)
        ending = EndingWriter(select, scope).write()
        if condition.depth > free_depth and ending:
            raise violated([f"{ending.split()[0]} after a subquery that only the end of a statement may hold"])
        if condition.depth > max(free_depth, self._profile.max_depth):
            raise violated(
                [f"subqueries are nested {condition.depth} deep; this schema's language has {self._profile.max_depth}"]
            )
        where = f" WHERE {condition.text}" if condition.text else ""
        head = "SELECT DISTINCT " if distinct else "SELECT "
        return head + ", ".join(items) + f" FROM {source.text}{where}{ending}"

    def _subquery(self, select: _Node, parent: NameScope) -> Predicate:
        """A nested SELECT of one item from one table; DISTINCT does not change what it is compared to."""
        for clause in ("group", "having", "order", "limit"):
            if select.args.get(clause) is not None:
                raise violated([f"{clause.upper()} inside a subquery"])
        scope = NameScope(self._language.schema, parent)
        source = read_source(select, scope, self._language)
        if not source.is_single:
            raise violated([f"a join inside a subquery: {source.text}"])
        items = write_items(select.expressions, scope)
        if len(items) != 1:
            raise violated([f"a subquery that selects {len(items)} columns instead of one"])
        writer = PredicateWriter(scope, self._subquery, compares_columns=False)
        condition = _condition(source.conditions, writer, 0)
        where = f" WHERE {condition.text}" if condition.text else ""
        item = items[0].text
        if "(DISTINCT " in item:
            raise violated([f"{item} inside a subquery"])
        return Predicate(f"SELECT {item} FROM {source.text}{where}", condition.depth)


def _condition(nodes: list[_Node], writer: PredicateWriter, free_depth: int) -> Predicate:
    """Predicates joined by AND and OR; one deeper than `free_depth` goes last, where the language has it."""
    groups = [[writer.write(atom) for atom in group] for group in disjunction(nodes)] if nodes else []
    deep = [predicate for group in groups for predicate in group if predicate.depth > free_depth]
    if len(deep) > 1:
        kind = "nested subqueries" if free_depth else "subqueries"
        raise violated([f"two {kind} in one condition; only its last predicate may hold one"])
    for group in groups:
        group.sort(key=lambda predicate: predicate.depth > free_depth)
    groups.sort(key=lambda group: group[-1].depth > free_depth)
    depth = max((predicate.depth for group in groups for predicate in group), default=0)
    return Predicate(" OR ".join(" AND ".join(p.text for p in group) for group in groups), depth)
