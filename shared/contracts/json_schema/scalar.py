"""Facts about strings and numbers, met in one regular language."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import gcd, lcm
from typing import Any

from shared.contracts.grammar.expression import ANYTHING, NOTHING, Expression, Text, alternation
from shared.contracts.grammar.language import intersect
from shared.contracts.grammar.machine import MAX_MACHINE_STATES, TooComplex
from shared.contracts.grammar.pattern import PatternError, parse_pattern
from shared.contracts.json_schema.fact import Fact, Length, Limit, Loose, Multiple, Pattern, Values
from shared.contracts.json_schema.formats import format_expression
from shared.contracts.json_schema.ledger import Ledger
from shared.contracts.json_schema.multiple import multiples
from shared.contracts.json_schema.number import Bound, NumberRange, range_expression
from shared.contracts.json_schema.shape import ScalarShape
from shared.contracts.json_schema.value import kind_of


class Patterns:
    """The languages of patterns; one that cannot be read is a fault of the schema."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def language(self, place: str, source: str, *, wide: bool = False) -> Expression:
        """The texts in which an ECMA-262 pattern is found; any text after a fault. `wide`: see `parse_pattern`."""
        try:
            language = parsed(source, wide=wide)
        except PatternError as err:
            self._ledger.refuse(place, f"This pattern cannot be guaranteed: {err}.")
            return ANYTHING
        if language.positions > MAX_MACHINE_STATES:  # the check of finished texts could not be made either
            what = f"it stands for {language.positions} characters, the limit is {MAX_MACHINE_STATES}"
            self._ledger.refuse(place, f"This pattern cannot be guaranteed: {what}.")
            return ANYTHING
        return language

    def of(self, fact: Pattern) -> Expression:
        """The language that a fact speaks about; of a pattern that must not be found, all that any reader finds."""
        if fact.is_format:
            return format_expression(fact.source)
        return self.language(fact.place, fact.source, wide=not fact.holds)


@lru_cache(maxsize=2048)
def parsed(source: str, *, wide: bool) -> Expression:
    """`parse_pattern`, remembered."""
    return parse_pattern(source, wide=wide)


def string_shape(facts: Iterable[Fact], patterns: Patterns) -> ScalarShape | None:
    """The strings of a branch; None when there are none."""
    facts = list(facts)
    lengths = [fact for fact in facts if isinstance(fact, Length)]
    found = [fact for fact in facts if isinstance(fact, Pattern)]
    wanted = [(fact.place, patterns.of(fact)) for fact in found if fact.holds]
    unwanted = [(fact.place, patterns.of(fact)) for fact in found if not fact.holds]
    for fact in facts:
        if isinstance(fact, Values) and not fact.holds:
            texts = [Text(value) for value in fact.values if isinstance(value, str)]
            unwanted += [(fact.place, alternation(texts))] if texts else []
    least, most = bounds(lengths)
    loose = [fact for fact in facts if isinstance(fact, Loose)]
    while True:
        try:
            languages = [language for _, language in wanted]
            language = intersect(languages, least, most, [language for _, language in unwanted])
        except TooComplex as err:
            loose += _dropped(wanted, unwanted, lengths, str(err))
            least, most = bounds(lengths)
            continue
        return None if language == NOTHING else ScalarShape("string", language, tuple(loose))


def _dropped(
    wanted: list[tuple[str, Expression]], unwanted: list[tuple[str, Expression]], lengths: list[Length], why: str
) -> list[Loose]:
    """Takes out what costs most to combine and says least: what is not wanted, then lengths, then the last pattern."""
    for group in (unwanted, lengths):
        if group:
            places = [fact.place if isinstance(fact, Length) else fact[0] for fact in group]
            group.clear()
            return [Loose(place, f"cannot be combined with what else holds: {why}") for place in places]
    place, _ = wanted.pop()
    return [Loose(place, f"cannot be combined with what else holds: {why}")]


def bounds(lengths: Sequence[Length]) -> tuple[int, int | None]:
    """All lengths as one."""
    most = [length.most for length in lengths if length.most is not None]
    return max((length.least for length in lengths), default=0), min(most, default=None)


def number_shapes(facts: Iterable[Fact]) -> list[ScalarShape]:
    """The numbers of a branch, cut where single values are excluded."""
    facts = list(facts)
    loose = [fact for fact in facts if isinstance(fact, Loose)]
    low, high = (_tightest(facts, is_lower=is_lower) for is_lower in (True, False))
    steps = [fact for fact in facts if isinstance(fact, Multiple)]
    grid = _common([step.step for step in steps if step.holds])
    digits, step = _grid(grid)
    denied = [fact for fact in steps if not fact.holds]
    loose += [Loose(fact.place, "its negation is not generated") for fact in denied if fact.step != 1]
    ranges = [NumberRange(low, high, digits, fractional=any(fact.step == 1 for fact in denied))]
    for value in sorted(_excluded(facts)):
        ranges = [part for whole in ranges for part in _cut(whole, value)]
    odd = [fact.place for fact in steps if fact.holds and _grid(fact.step)[1] is not None]
    place = next(iter(odd), "")
    shapes = (_number_shape(numbers, step, place, tuple(loose)) for numbers in ranges)
    return [shape for shape in shapes if shape is not None]


def _number_shape(
    numbers: NumberRange, step: Fraction | None, place: str, loose: tuple[Loose, ...]
) -> ScalarShape | None:
    language = range_expression(numbers)
    if step is not None:
        try:
            language = multiples(step, numbers)
        except TooComplex as err:
            loose = (*loose, Loose(place, f"cannot be written as a language of digits: {err}"))
    return None if language == NOTHING else ScalarShape("number", language, loose)


def _tightest(facts: Iterable[Fact], *, is_lower: bool) -> Bound | None:
    ends = [fact.bound for fact in facts if isinstance(fact, Limit) and fact.is_lower == is_lower]
    sign = 1 if is_lower else -1
    return max(ends, key=lambda bound: (sign * bound.value, bound.exclusive), default=None)


def _common(steps: Sequence[Fraction]) -> Fraction | None:
    """The least common multiple of fractions."""
    if not steps:
        return None
    return Fraction(lcm(*(s.numerator for s in steps)), gcd(*(s.denominator for s in steps)))


def _grid(step: Fraction | None) -> tuple[int, Fraction | None]:
    """Digits after the point that multiples of `step` have, and the step where the digits alone do not say it."""
    if step is None:
        return 15, None
    for digits in range(-14, 15):
        if step == Fraction(10) ** -digits:
            return digits, None
    digits = next((digits for digits in range(15) if (step * 10**digits).denominator == 1), 15)
    return digits, step


def _excluded(facts: Iterable[Fact]) -> set[Fraction]:
    values: list[Any] = [v for fact in facts if isinstance(fact, Values) and not fact.holds for v in fact.values]
    return {Fraction(Decimal(str(value))) for value in values if kind_of(value) == "number"}


def _cut(numbers: NumberRange, value: Fraction) -> list[NumberRange]:
    if not numbers.holds(value):
        return [numbers]
    edge = Bound(value, exclusive=True)
    return [replace(numbers, maximum=edge), replace(numbers, minimum=edge)]
