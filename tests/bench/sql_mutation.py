"""Statements with one small mistake, as models make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sqlglot
from sqlglot import exp

_Node = Any  # sqlglot ships no usable types
_Mutation = Callable[[_Node], _Node | None]
"""The node in place of another, or None where the mistake cannot be made."""


def mutations(statement: str) -> Iterator[tuple[str, str]]:
    """Each mistake at each place: its name, and the statement with it."""
    plain = sqlglot.parse_one(statement, read="sqlite")
    for place in range(sum(1 for _ in plain.walk())):
        for name, mutate in _MUTATIONS.items():
            root = sqlglot.parse_one(statement, read="sqlite")
            node = list(root.walk())[place]
            mutated = mutate(node)
            if mutated is not None:
                whole = mutated if node is root else root
                node.replace(mutated)
                yield name, whole.sql(dialect="sqlite")


def _instead(old: type, new: Callable[..., _Node]) -> _Mutation:
    """The same operands under another operator, or the same argument under another function."""
    return lambda node: new(**node.args) if type(node) is old else None


def _other_number(node: _Node) -> _Node | None:
    is_number = isinstance(node, exp.Literal) and not node.is_string
    return exp.Literal.number(int(float(node.this)) + 1) if is_number else None


def _without_distinct(node: _Node) -> _Node | None:
    if not isinstance(node, exp.Select) or node.parent or not node.args.get("distinct"):
        return None
    changed = node.copy()
    changed.set("distinct", None)
    return changed


def _other_direction(node: _Node) -> _Node | None:
    if not isinstance(node, exp.Ordered):
        return None
    return exp.Ordered(this=node.this.copy(), desc=not node.args.get("desc"))


def _count_rows(node: _Node) -> _Node | None:
    is_column = isinstance(node, exp.Count) and isinstance(node.this, exp.Column)
    return exp.Count(this=exp.Star()) if is_column else None


_MUTATIONS: dict[str, _Mutation] = {
    "> as >=": _instead(exp.GT, exp.GTE),
    "> as <": _instead(exp.GT, exp.LT),
    "< as <=": _instead(exp.LT, exp.LTE),
    "= as <>": _instead(exp.EQ, exp.NEQ),
    "AND as OR": _instead(exp.And, exp.Or),
    "first condition alone": lambda node: node.this if type(node) is exp.And else None,
    "last condition alone": lambda node: node.expression if type(node) is exp.And else None,
    "MIN as MAX": _instead(exp.Min, exp.Max),
    "MAX as MIN": _instead(exp.Max, exp.Min),
    "SUM as AVG": _instead(exp.Sum, exp.Avg),
    "another number": _other_number,
    "DISTINCT left out": _without_distinct,
    "another direction": _other_direction,
    "COUNT of rows": _count_rows,
}
