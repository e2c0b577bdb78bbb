"""`multipleOf` as a language of digits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from shared.contracts.grammar.expression import Expression, Text, alternation, sequence
from shared.contracts.grammar.machine import TooComplex
from shared.contracts.grammar.pattern import parse_whole_pattern
from shared.contracts.json_schema.number import MAX_INTEGER, Bound, NumberRange, fraction_text, integers

_MAX_LISTED = 2_000


@lru_cache(maxsize=256)
def multiples(step: Fraction, numbers: NumberRange) -> Expression:
    """The multiples of `step` in a range in their canonical spelling; those of a small range are listed.

    Raises `TooComplex` for a large range where the last digits do not tell: 3, 7, 1.5.
    """
    listed = _listed(step, numbers)
    if listed is not None:
        return alternation(Text(text) for text in listed)
    flipped = replace(numbers, minimum=_negated(numbers.maximum), maximum=_negated(numbers.minimum))
    positive = alternation(_magnitudes(step, numbers, zero=True))
    negative = alternation(_magnitudes(step, flipped, zero=False))
    return alternation([positive, sequence([Text("-"), negative])])


def _listed(step: Fraction, numbers: NumberRange) -> list[str] | None:
    low = -MAX_INTEGER if numbers.minimum is None else numbers.minimum.value
    high = MAX_INTEGER if numbers.maximum is None else numbers.maximum.value
    first, last = math.ceil(low / step), math.floor(high / step)
    if last - first > _MAX_LISTED:
        return None
    found = [step * factor for factor in range(first, last + 1)]
    wanted = (v for v in found if numbers.holds(v) and not (numbers.fractional and v.denominator == 1))
    texts = (fraction_text(value) for value in wanted)
    return [text for text in texts if text is not None]


def _negated(bound: Bound | None) -> Bound | None:
    return None if bound is None else Bound(-bound.value, bound.exclusive)


def _magnitudes(step: Fraction, numbers: NumberRange, *, zero: bool) -> Iterator[Expression]:
    """Multiples from zero up, zone by zone: the last digits are listed, what stands before them is a range."""
    for begin, end, digits in numbers.zones():
        scale = 10**digits
        unit = (step * scale).numerator  # the least multiple that is a whole number of 1 / scale
        low = max(begin * scale, 0 if zero else 1, numbers.minimum.least(scale) if numbers.minimum else 0)
        high = min(end * scale - 1, numbers.maximum.most(scale) if numbers.maximum else end * scale)
        width = next((width for width in range(digits, digits + 4) if 10**width % unit == 0), None)
        if width is None or 10**width // unit > _MAX_LISTED:
            raise TooComplex(f"multiples of {step} cannot be told by their last digits")
        groups: dict[tuple[int, int], list[int]] = {}
        for rest in range(0, 10**width, unit):
            if numbers.fractional and rest % scale == 0:
                continue
            ends = -(-(low - rest) // 10**width), (high - rest) // 10**width
            groups.setdefault((max(ends[0], 0), ends[1]), []).append(rest)
        yield from _spelled(groups, width, digits)


def _spelled(groups: dict[tuple[int, int], list[int]], width: int, digits: int) -> Iterator[Expression]:
    for (first, last), rests in groups.items():
        if first > last:
            continue
        if first == 0:
            texts = (fraction_text(Fraction(rest, 10**digits)) for rest in rests)
            yield alternation(Text(text) for text in texts if text is not None)
        if last > 0:
            front = parse_whole_pattern(integers(max(first, 1), last), max_chars=None)
            yield sequence([front, alternation(Text(_ending(rest, width, digits)) for rest in rests)])


def _ending(rest: int, width: int, digits: int) -> str:
    """The last `width` digits, `digits` of them after the point and without trailing zeros there."""
    text = str(rest).zfill(width) if width else ""
    whole, fraction = text[: width - digits], text[width - digits :].rstrip("0")
    return whole + (f".{fraction}" if fraction else "")
