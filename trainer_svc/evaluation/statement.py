"""SQL texts of any kind: whether they are one SELECT, and their one spelling.

Every generated text is read here first: a model that repeats itself writes the ones that take the canonicaliser
longest.
"""

from __future__ import annotations

from typing import Any

from shared.contracts.spec import ContractSpec
from shared.contracts.sql import canonicalise_sql
from shared.contracts.sql.statement import parse_select
from shared.errors import InvalidInput

_Node = Any  # sqlglot ships no usable types

_MAX_CHARACTERS = 20_000
"""Longer than any answer of 2,048 tokens in practice."""
_MAX_DEPTH = 100
"""Of the tree: sums of 250 terms take the canonicaliser a second, of 500 four; and far from Python's limit."""


def read_select(text: str, dialect: str) -> _Node | None:
    """The tree of one SELECT statement, or set operation, as sqlglot reads it; None of a text that is none.

    Nor is one that is longer than 20,000 characters, makes a tree more than 100 deep, or takes `parse_select` too many
    steps.
    """
    if len(text) > _MAX_CHARACTERS:
        return None
    node, _ = parse_select(text, dialect)
    return node if node is not None and _is_shallow(node) else None


def is_select(text: str, dialect: str) -> bool:
    """Whether `read_select` finds one."""
    return read_select(text, dialect) is not None


def is_ordered(text: str, dialect: str) -> bool:
    """Whether a statement orders its result: at its outermost level, not in a subquery."""
    node = read_select(text, dialect)
    return node is not None and node.args.get("order") is not None


def canonical_statement(spec: ContractSpec, text: str) -> str:
    """The contract's own spelling; outside its language sqlglot's, and of a text that is no SELECT the text itself."""
    node = read_select(text, spec.dialect)
    if node is None:
        return text
    try:
        return canonicalise_sql(spec, text)
    except InvalidInput:
        return str(node.sql(dialect=spec.dialect, normalize=True, comments=False))


def _is_shallow(node: _Node) -> bool:
    """Whether the tree is at most `_MAX_DEPTH` deep."""
    level = [node]
    for _ in range(_MAX_DEPTH):
        level = [child for parent in level for child in parent.iter_expressions()]
        if not level:
            return True
    return False
