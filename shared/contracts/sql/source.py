"""The FROM clause: which tables are read and along which allowed joins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from shared.contracts.sql.boolean import conjuncts
from shared.contracts.sql.edge import TableSet
from shared.contracts.sql.profile import SqlLanguage
from shared.contracts.sql.refusal import violated
from shared.contracts.sql.scope import NameScope

_Node = Any  # sqlglot ships no usable types
_Pair = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Source:
    """What follows FROM in canonical spelling, and the conditions that are left for WHERE."""

    text: str
    is_single: bool
    conditions: list[_Node]


def from_clause(select: _Node) -> _Node:
    """The FROM node of a SELECT."""
    node = select.args.get("from_") or select.args.get("from")
    if node is None:
        raise violated(["a SELECT without FROM"])
    return node


def read_source(select: _Node, scope: NameScope, language: SqlLanguage) -> Source:
    """Fill `scope` and write the join: explicit, or implied by equalities in WHERE.

    Raises `InvalidInput` (`CONTRACT_VIOLATED`) for outer joins, tables without an allowed join, and self-joins that the
    language has not.
    """
    scope.add(from_clause(select).this)
    conditions: list[_Node] = []
    for join in select.args.get("joins") or ():
        conditions += _join(join, scope)
    where = select.args.get("where")
    conditions += list(conjuncts(where.this if where is not None else None))
    names = [table.name for table in scope.sources.values()]
    tables = language.by_names.get(frozenset(names))
    if tables is None:
        most = language.profile.max_tables
        if len(names) > most:
            raise violated([f"a join of {len(names)} tables; this schema's language joins at most {most}"])
        hint = _edge_hint(conditions, scope, frozenset())
        raise violated([f"no join edge connects {' and '.join(names)}"], hint=hint)
    equalities = [(_equality(node, scope), node) for node in conditions]
    present = {pair for pair, _ in equalities if pair is not None}
    tree = next((tree for tree in tables.trees if tree.equalities <= present), None)
    either = _either(tables, conditions, scope) if tree is None and language.is_nested else None
    if either is not None:
        return either
    if tree is None:
        known = frozenset(pair for tree in tables.trees for pair in tree.equalities)
        hint = _edge_hint(conditions, scope, known)
        allowed = " or ".join(tree.text for tree in tables.trees[:3])
        raise violated([f"{' and '.join(names)} are not joined along an allowed edge; allowed: {allowed}"], hint=hint)
    return Source(tree.text, len(names) == 1, _left(equalities, tree.equalities))


def _edge_hint(conditions: list[_Node], scope: NameScope, known: frozenset[_Pair]) -> str:
    """The joins of a statement that its owner could declare."""
    pairs = [pair for pair in (_equality(node, scope) for node in conditions) if pair is not None and pair not in known]
    if not pairs:
        return ""
    edges = [" = ".join(sorted(f"{table}.{column}" for table, column in pair)) for pair in pairs]
    return f"declare the join edge {' and '.join(edges)} in the contract"


def _either(tables: TableSet, conditions: list[_Node], scope: NameScope) -> Source | None:
    """A join of two tables on either of two allowed equalities: OR in ON."""
    allowed = {tree.equalities: "".join(tree.units[-3:]) for tree in tables.trees if len(tree.keys) == 1}
    for condition in conditions:
        chosen = {frozenset(filter(None, [_equality(part, scope)])) for part in _disjuncts(condition)}
        if len(chosen) == 2 and chosen <= set(allowed):
            first = tables.trees[0]
            head = "".join(first.units[: first.units.index(" ON ") + 1])
            texts = [text for equalities, text in allowed.items() if equalities in chosen]
            left = [other for other in conditions if other is not condition]
            return Source(head + " OR ".join(texts), is_single=False, conditions=left)
    return None


def _disjuncts(node: _Node) -> Iterator[_Node]:
    node = node.unnest()
    if isinstance(node, exp.Or):
        yield from _disjuncts(node.this)
        yield from _disjuncts(node.expression)
    else:
        yield node


def _left(equalities: list[tuple[_Pair | None, _Node]], used: frozenset[_Pair]) -> list[_Node]:
    """The conditions without the first of each equality that the join now says: a second one was written in WHERE."""
    pending, left = set(used), []
    for pair, node in equalities:
        if pair in pending:
            pending.remove(pair)
        else:
            left.append(node)
    return left


def _join(join: _Node, scope: NameScope) -> list[_Node]:
    if join.side or str(join.kind).upper() == "OUTER":
        raise violated([f"an outer join ({join.side or join.kind} JOIN)"])
    if join.method or str(join.kind).upper() not in ("", "INNER", "CROSS"):
        raise violated([f"a {join.method or join.kind} JOIN"])
    before = list(scope.sources)
    scope.add(join.this)
    if join.args.get("using"):
        after = list(scope.sources)[-1]
        scope.merged |= {name.name.lower() for name in join.args["using"]}
        return [_using(name.name, before, after, scope) for name in join.args["using"]]
    return list(conjuncts(join.args.get("on")))


def _using(name: str, before: list[str], after: str, scope: NameScope) -> _Node:
    holders = [source for source in before if name.lower() in scope.sources[source].by_lower]
    if len(holders) != 1:
        raise violated([f"USING ({name}) is ambiguous or names no common column"])
    return exp.EQ(this=exp.column(name, table=holders[0]), expression=exp.column(name, table=after))


def _equality(node: _Node, scope: NameScope) -> _Pair | None:
    if not isinstance(node, exp.EQ):
        return None
    sides = [side.unnest() for side in (node.this, node.expression)]
    if not all(isinstance(side, exp.Column) for side in sides):
        return None
    uses = [scope.find(side) for side in sides]
    keys = [use.key for use in uses if use is not None]
    return frozenset(keys) if len(keys) == 2 and keys[0][0] != keys[1][0] else None
