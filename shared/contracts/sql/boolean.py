"""Conditions as alternatives of conjunctions: the form that needs no parentheses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from shared.contracts.sql.refusal import violated

MAX_GROUPS = 8
"""Alternatives that a condition may be multiplied out to."""

_Node = Any  # sqlglot ships no usable types, of nodes and of their classes


@dataclass(frozen=True)
class Atom:
    """A condition without AND, OR and NOT."""

    node: _Node
    is_negated: bool


def conjuncts(node: _Node | None) -> Iterator[_Node]:
    """The parts of a condition that must all hold."""
    stack = [node] if node is not None else []
    while stack:
        part = stack.pop().unnest()
        if isinstance(part, exp.And):
            stack += [part.expression, part.this]
        else:
            yield part


def disjunction(nodes: list[_Node]) -> list[list[Atom]]:
    """`nodes` joined by AND, multiplied out: any of the lists, all of its atoms. NOT is pushed to the atoms.

    Both hold in SQL's logic with NULL too (it is a Kleene algebra).
    """
    groups: list[list[Atom]] = [[]]
    for node in nodes:
        groups = _product(groups, _normal(node, negated=False))
    return groups


def _normal(node: _Node, *, negated: bool) -> list[list[Atom]]:
    node = node.unnest()
    while type(node) is exp.Not:
        node, negated = node.this.unnest(), not negated
    if not isinstance(node, exp.And | exp.Or):
        return [[Atom(node, negated)]]
    kind = exp.And if isinstance(node, exp.And) else exp.Or
    parts = [_normal(part, negated=negated) for part in _chain(node, kind)]
    if (kind is exp.And) != negated:
        groups: list[list[Atom]] = [[]]
        for part in parts:
            groups = _product(groups, part)
        return groups
    return [group for part in parts for group in part]


def _chain(node: _Node, kind: Any) -> list[_Node]:
    """Operands of a run of one operator, without recursion into its left side."""
    operands = []
    left: _Node = node
    while type(left) is kind:
        operands.append(left.expression)
        left = left.this
    return [left, *reversed(operands)]


def _product(left: list[list[Atom]], right: list[list[Atom]]) -> list[list[Atom]]:
    if len(left) > 1 and len(right) > 1 and len(left) * len(right) > MAX_GROUPS:
        raise violated([f"a condition that needs parentheses: more than {MAX_GROUPS} alternatives without them"])
    return [a + b for a in left for b in right]
