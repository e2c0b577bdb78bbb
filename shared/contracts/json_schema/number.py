"""Digit automata: expressions for exactly the numbers of a range, each in its one canonical spelling.

A canonical number has no exponent, no leading zeros, no trailing fraction zeros and no `-0`, and at most 15 significant
digits, so that it survives the round trip through a double. How many fraction digits it may have depends on its size:
see `ZONES`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from shared.contracts.grammar.expression import NOTHING, Expression
from shared.contracts.grammar.pattern import parse_whole_pattern

ZONES = ((0, 1, 15), (1, 10**9, 6), (10**9, 10**15, 0))
"""(magnitudes from, to but not including, fraction digits); 6 digits for everyday amounts keep automata small."""

MAX_INTEGER = 10**15 - 1


@dataclass(frozen=True)
class Bound:
    """One end of a range."""

    value: Fraction
    exclusive: bool = False

    def least(self, scale: int) -> int:
        """As a lower bound on `number * scale`: the smallest integer inside."""
        exact = self.value * scale
        return math.floor(exact) + 1 if self.exclusive else math.ceil(exact)

    def most(self, scale: int) -> int:
        """As an upper bound on `number * scale`: the largest integer inside."""
        exact = self.value * scale
        return math.ceil(exact) - 1 if self.exclusive else math.floor(exact)


@dataclass(frozen=True)
class NumberRange:
    """The numbers between two bounds with at most `fraction_digits` (negative: a multiple of that power of ten)."""

    minimum: Bound | None = None
    maximum: Bound | None = None
    fraction_digits: int = 15
    fractional: bool = False
    """No integers."""

    def regex(self) -> str | None:
        """An expression for every canonical number of the range; None when there is none."""
        branches = self._magnitudes(self.minimum, self.maximum, zero=True)
        negated = [None if bound is None else Bound(-bound.value, bound.exclusive) for bound in self._ends()]
        branches += [f"-{branch}" for branch in self._magnitudes(negated[1], negated[0], zero=False)]
        return "(?:" + "|".join(branches) + ")" if branches else None

    def holds(self, value: Fraction) -> bool:
        """Whether a number lies in the range and on its grid, whatever its spelling."""
        low, high = self._ends()
        if low is not None and (value < low.value or (low.exclusive and value == low.value)):
            return False
        if high is not None and (value > high.value or (high.exclusive and value == high.value)):
            return False
        # 15 only bounds the spelling; fewer digits come from the contract.
        return self.fraction_digits == 15 or (value * Fraction(10) ** self.fraction_digits).denominator == 1

    def _ends(self) -> tuple[Bound | None, Bound | None]:
        return self.minimum, self.maximum

    def _magnitudes(self, minimum: Bound | None, maximum: Bound | None, *, zero: bool) -> list[str]:
        branches = []
        step = 10 ** max(-self.fraction_digits, 0)
        for begin, end, digits in self.zones():
            scale = 10**digits
            low = max(begin * scale, 0 if zero else 1, minimum.least(scale) if minimum else 0)
            high = min(end * scale - 1, maximum.most(scale) if maximum else end * scale)
            if step > 1:
                branches += [] if self.fractional else _stepped(low, high, step)
            elif low <= high:
                branches += _decimal_branches(low, high, digits, fractional=self.fractional)
        return branches

    def zones(self) -> list[tuple[int, int, int]]:
        """`ZONES` with no more digits than the range has."""
        if self.fraction_digits <= 0:
            return [(0, MAX_INTEGER + 1, 0)]
        return [(begin, end, min(digits, self.fraction_digits)) for begin, end, digits in ZONES]


def _stepped(low: int, high: int, step: int) -> list[str]:
    low, high = -(-low // step), high // step
    zeros = str(step)[1:]
    branches = ["0"] if low <= 0 <= high else []
    low = max(low, 1)
    return branches + ([f"{integers(low, high)}{zeros}"] if low <= high else [])


def _decimal_branches(low: int, high: int, fraction_digits: int, *, fractional: bool) -> list[str]:
    """Expressions for n / 10**fraction_digits, all n from `low` to `high` (0 <= low <= high), or but the integers."""
    if fraction_digits == 0:
        return [] if fractional else [integers(low, high)]
    scale = 10**fraction_digits
    (first, first_rest), (last, last_rest) = divmod(low, scale), divmod(high, scale)
    nines = scale - 1
    least = 1 if fractional else 0
    parts = []
    if first == last:
        parts.append((str(first), max(first_rest, least), last_rest))
        first, last = 1, 0
    elif first_rest:
        parts.append((str(first), first_rest, nines))
        first += 1
    if first <= last and last_rest != nines:
        parts.append((str(last), least, last_rest))
        last -= 1
    if first <= last:
        parts.append((integers(first, last), least, nines))
    return [whole + _fraction(begin, end, fraction_digits) for whole, begin, end in parts if begin <= end]


def integers(low: int, high: int) -> str:
    """An expression for the integers from `low` to `high` (0 <= low <= high) without leading zeros."""
    branches = []
    while low <= high:
        length = len(str(low))
        if low == 10 ** (length - 1) and high >= 10**length - 1:
            # All numbers of this length and of every longer one that fits as a whole: one counted repeat.
            longest = len(str(high + 1)) - 1
            branches.append("[1-9]" + (f"[0-9]{{{length - 1},{longest - 1}}}" if longest > 1 else ""))
            low = 10**longest
            continue
        top = min(high, 10**length - 1)
        branches.append(_same_length(str(low), str(top)))
        low = top + 1
    return branches[0] if len(branches) == 1 else "(?:" + "|".join(branches) + ")"


def _same_length(low: str, high: str) -> str:
    """Digit strings of one length from `low` to `high`."""
    if not low:
        return ""
    rest = len(low) - 1
    if low[0] == high[0]:
        return low[0] + _same_length(low[1:], high[1:])
    branches = []
    first, last = int(low[0]), int(high[0])
    if low[1:] != "0" * rest:
        branches.append(low[0] + _same_length(low[1:], "9" * rest))
        first += 1
    if high[1:] != "9" * rest:
        branches.append(high[0] + _same_length("0" * rest, high[1:]))
        last -= 1
    if first <= last:
        branches.append(_digit(first, last) + _digits(rest))
    return branches[0] if len(branches) == 1 else "(?:" + "|".join(branches) + ")"


def _digit(first: int, last: int) -> str:
    return str(first) if first == last else f"[{first}-{last}]"


def _digits(count: int) -> str:
    return {0: "", 1: "[0-9]"}.get(count, f"[0-9]{{{count}}}")


def _fraction(low: int, high: int, digits: int) -> str:
    """The fraction part, point included, for values `low`..`high` of 10**-digits; optional when it may be zero."""
    tail = _tail(str(low).zfill(digits), str(high).zfill(digits))
    if tail is None:
        return ""
    return rf"(?:\.{tail})?" if low == 0 else rf"\.{tail}"


def _tail(low: str, high: str) -> str | None:
    """Non-empty digit strings without trailing zero whose padded value is in range; None when there are none."""
    rest = len(low) - 1
    if rest < 0:
        return None
    zeros, nines = "0" * rest, "9" * rest
    if low == "0" + zeros and high == "9" + nines:
        return f"[0-9]{{0,{rest}}}[1-9]" if rest else "[1-9]"
    first, last = int(low[0]), int(high[0])
    if first == last:
        return _digit_then_tail(first, first, low[1:], high[1:])
    branches = []
    if first == 0 or low[1:] != zeros:
        branches.append(_digit_then_tail(first, first, low[1:], nines))
        first += 1
    if high[1:] != nines:
        branches.append(_digit_then_tail(last, last, zeros, high[1:]))
        last -= 1
    if first <= last:
        branches.append(_digit_then_tail(first, last, zeros, nines))
    found = [branch for branch in branches if branch]
    return None if not found else (found[0] if len(found) == 1 else "(?:" + "|".join(found) + ")")


def _digit_then_tail(first: int, last: int, low: str, high: str) -> str | None:
    tail = _tail(low, high)
    may_end = first > 0 and not low.strip("0")
    if tail is None:
        return _digit(first, last) if may_end else None
    return _digit(first, last) + (f"(?:{tail})?" if may_end else tail)


@lru_cache(maxsize=1024)
def range_expression(numbers: NumberRange) -> Expression:
    """`NumberRange.regex` as an expression; `NOTHING` for an empty range."""
    source = numbers.regex()
    return NOTHING if source is None else parse_whole_pattern(source, max_chars=None)


def number_text(value: Decimal) -> str | None:
    """The canonical spelling of a number; None where it has none."""
    if not value.is_finite() or value.adjusted() > 15 or (value and value.adjusted() < -16):
        return None
    return fraction_text(Fraction(value))


def fraction_text(exact: Fraction) -> str | None:
    """The canonical spelling of an exact number; None where it has none."""
    magnitude = abs(exact)
    for begin, end, digits in ZONES:
        if begin <= magnitude < end:
            scaled = magnitude * 10**digits
            if scaled.denominator != 1:
                return None
            whole, rest = divmod(scaled.numerator, 10**digits)
            fraction = str(rest).zfill(digits).rstrip("0") if rest else ""
            return ("-" if exact < 0 else "") + str(whole) + (f".{fraction}" if fraction else "")
    return None
