"""The one SELECT of a text, or why there is none, read in a bounded number of steps."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError

from shared.contracts.sql.refusal import one_line

FREE_STEPS = 5_000
"""Steps of the parser, forwards and back, that a text may take beside those of its tokens.

Up to sqlglot 30.30 each JOIN whose ON does not follow at once is read twice: ten in a row take 2,600 to 4,600 steps,
eleven are refused. A step takes 4 to 10 µs on a busy core of 2024, so that a looping statement costs 20 to 50 ms.
"""
STEPS_PER_TOKEN = 2
"""A parser that knows its way takes 1.0 to 1.3: the 872 statements of GeoQuery at most 128 steps for 122 tokens, 2,000
random statements of our grammars in four dialects at most 485 for 461, and 1,500 JOINs with their ON 18,009 for 15,008.
"""
_Node = Any  # sqlglot ships no usable types


def parse_select(text: str, dialect: str) -> tuple[_Node | None, str]:
    """The one SELECT statement (or set operation) of a text, or None and why there is none."""
    language = Dialect.get_or_raise(dialect)
    try:
        tokens = language.tokenize(text)
        parser = _bounded_parser(dialect)(FREE_STEPS + STEPS_PER_TOKEN * len(tokens), language)
        statements = parser.parse(tokens, text)
    except _TooManySteps as err:
        return None, str(err)
    except (SqlglotError, RecursionError) as err:
        return None, f"Not SQL: {one_line(err)}"
    if len(statements) != 1 or statements[0] is None:
        return None, f"{len([s for s in statements if s is not None])} statements; exactly one SELECT is needed."
    if not isinstance(statements[0], exp.Select | exp.SetOperation):
        return None, f"Only SELECT is allowed, not {type(statements[0]).__name__.upper()}."
    return statements[0], ""


class _TooManySteps(Exception):
    """No `ParseError`: the parser takes those for a reason to try the next way."""


@cache
def _bounded_parser(dialect: str) -> _Node:
    """The class of the dialect's parsers, within steps: sqlglot's `max_nodes` does not count what is thrown away."""

    class BoundedParser(Dialect.get_or_raise(dialect).parser_class):  # type: ignore[misc]  # a class chosen by name
        def __init__(self, limit: int, language: Dialect) -> None:
            super().__init__(dialect=language)
            self._limit, self._left = limit, limit

        def _advance(self, times: int = 1) -> None:
            self._left -= 1
            if self._left < 0:
                raise _TooManySteps(
                    f"Takes more than {self._limit} steps to parse: write the ON of each JOIN directly after its "
                    "table, and nest less."
                )
            super()._advance(times)

    return BoundedParser
