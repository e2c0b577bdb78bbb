"""Languages met and counted: intersections within a length, and the texts of finite ones."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from functools import lru_cache

from shared.contracts.grammar.expression import (
    ANY,
    ANYTHING,
    NOTHING,
    Alternation,
    Chars,
    Expression,
    Repeat,
    Sequence,
    Text,
    alternation,
    repeat,
    sequence,
)
from shared.contracts.grammar.machine import Machine
from shared.contracts.grammar.product import Product


def intersect(
    languages: SequenceOf[Expression], least: int = 0, most: int | None = None, without: SequenceOf[Expression] = ()
) -> Expression:
    """The texts of `least` to `most` characters that are in every language and in none of `without`.

    `NOTHING` when there are none. Tries rewrites first, then the product of the automata written back as an expression.
    Raises `TooComplex`.
    """
    proper = tuple(language for language in dict.fromkeys(languages) if language != ANYTHING)
    return _intersection(proper, least, most, tuple(dict.fromkeys(without)))


@lru_cache(maxsize=4096)
def _intersection(
    proper: tuple[Expression, ...], least: int, most: int | None, without: tuple[Expression, ...]
) -> Expression:
    if most is not None and most < least:
        return NOTHING
    if not proper and not without:
        return repeat(ANY, least, most)
    if len(proper) == 1 and not without:
        bounded = _bounded(proper[0], least, most)
        if bounded is not None:
            return bounded
    return Product([Machine.of(one) for one in proper], [Machine.of(one) for one in without], least, most).expression()


def _bounded(expression: Expression, least: int, most: int | None) -> Expression | None:
    """The texts of an expression within a length range, where a rewrite can say it; None where it cannot."""
    longest = expression.max_length
    too_short = longest is not None and longest < least
    if expression == NOTHING or too_short or (most is not None and expression.min_length > most):
        return NOTHING
    if expression.min_length >= least and (most is None or (longest is not None and longest <= most)):
        return expression
    if isinstance(expression, Alternation):
        branches = [_bounded(branch, least, most) for branch in expression.branches]
        return None if None in branches else alternation(branch for branch in branches if branch is not None)
    if isinstance(expression, Repeat) and expression.item.min_length == expression.item.max_length:
        size = expression.item.min_length
        low = max(expression.least, -(-least // size))
        limits = [limit for limit in (expression.most, None if most is None else most // size) if limit is not None]
        high = min(limits, default=None)
        return NOTHING if high is not None and low > high else repeat(expression.item, low, high)
    if isinstance(expression, Sequence):
        return _bounded_sequence(expression, least, most)
    return None


def _bounded_sequence(expression: Sequence, least: int, most: int | None) -> Expression | None:
    loose = [i for i, item in enumerate(expression.items) if item.min_length != item.max_length]
    if len(loose) != 1:
        return None
    fixed = expression.min_length - expression.items[loose[0]].min_length
    inner = _bounded(expression.items[loose[0]], max(0, least - fixed), None if most is None else most - fixed)
    if inner is None:
        return None
    return sequence([*expression.items[: loose[0]], inner, *expression.items[loose[0] + 1 :]])


def finite_texts(expression: Expression, limit: int) -> tuple[str, ...] | None:
    """Every text of a finite language; None when there are more than `limit`, or it refers to a rule."""
    found: tuple[str, ...] | None = None
    match expression:
        case Chars(members):
            codes = [range(low, high + 1) for low, high in members.ranges]
            if sum(map(len, codes)) <= limit:
                found = tuple(chr(code) for run in codes for code in run)
        case Text(text):
            found = (text,)
        case Alternation(branches):
            found = _union([finite_texts(branch, limit) for branch in branches], limit)
        case Sequence(items):
            found = _concatenations([finite_texts(item, limit) for item in items], limit)
        case Repeat(item, least, most) if most is not None and most <= limit:
            texts = finite_texts(item, limit)
            found = _union([_concatenations([texts] * count, limit) for count in range(least, most + 1)], limit)
    return found


def _union(parts: SequenceOf[tuple[str, ...] | None], limit: int) -> tuple[str, ...] | None:
    if None in parts:
        return None
    found = tuple(dict.fromkeys(text for part in parts for text in part or ()))
    return found if len(found) <= limit else None


def _concatenations(parts: SequenceOf[tuple[str, ...] | None], limit: int) -> tuple[str, ...] | None:
    found: tuple[str, ...] = ("",)
    for part in parts:
        if part is None or len(found) * len(part) > limit:
            return None
        found = tuple(dict.fromkeys(left + right for left in found for right in part))
    return found
