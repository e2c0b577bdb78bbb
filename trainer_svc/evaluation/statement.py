"""SQL texts of any kind: whether they are one SELECT, and their one spelling.

Every generated text is read here first: sqlglot's time has no bound in the length of a text, and a model that repeats
itself writes the ones that take longest.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError

from shared.contracts.spec import ContractSpec
from shared.contracts.sql import canonicalise_sql
from shared.errors import InvalidInput

_Node = Any  # sqlglot ships no usable types

_MAX_CHARACTERS = 20_000
"""Longer than any answer of 2,048 tokens in practice."""
_MAX_STEPS = 20_000
"""Of the parser, forwards and back: about one a token where it knows its way. They take 0.2 s on a busy core."""
_MAX_DEPTH = 100
"""Of the tree: sums of 250 terms take the canonicaliser a second, of 500 four; and far from Python's limit."""


def read_select(text: str, dialect: str) -> _Node | None:
    """The tree of one SELECT statement, or set operation, as sqlglot reads it; None of a text that is none.

    Nor is one that is longer than 20,000 characters, makes a tree more than 100 deep, or takes sqlglot long: up to
    version 30.30 it reads what follows a JOIN without ON twice, so that 60 of them never end.
    """
    if len(text) > _MAX_CHARACTERS:
        return None
    language = Dialect.get_or_raise(dialect)
    try:
        statements = _bounded_parser(dialect)(dialect=language).parse(language.tokenize(text), text)
    except (SqlglotError, RecursionError, _TooManySteps):
        return None
    node = statements[0] if len(statements) == 1 else None
    return node if isinstance(node, exp.Select | exp.SetOperation) and _is_shallow(node) else None


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


class _TooManySteps(Exception):
    """No `ParseError`: the parser takes those for a reason to try the next way."""


@cache
def _bounded_parser(dialect: str) -> _Node:
    """The dialect's parser, within `_MAX_STEPS`. Its own `max_nodes` does not count what is read and thrown away."""

    class BoundedParser(Dialect.get_or_raise(dialect).parser_class):  # type: ignore[misc]  # a class chosen by name
        _steps = 0

        def _advance(self, times: int = 1) -> None:
            self._steps += 1
            if self._steps > _MAX_STEPS:
                raise _TooManySteps
            super()._advance(times)

    return BoundedParser


def _is_shallow(node: _Node) -> bool:
    """Whether the tree is at most `_MAX_DEPTH` deep."""
    level = [node]
    for _ in range(_MAX_DEPTH):
        level = [child for parent in level for child in parent.iter_expressions()]
        if not level:
            return True
    return False
