"""Digit expressions against Python's arithmetic."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.json_schema.number import Bound, NumberRange, number_text

integers = st.one_of(st.integers(-1200, 1200), st.integers(-(10**16), 10**16))
decimals = st.one_of(
    st.decimals(-20, 20, places=3), st.decimals(-(10**10), 10**10, places=6), st.decimals(-1, 1, places=15)
)


def bound(value: int | Decimal | None, *, exclusive: bool) -> Bound | None:
    """A bound, or none."""
    return None if value is None else Bound(Fraction(value), exclusive)


def spells(numbers: NumberRange, text: str) -> bool:
    """Whether a text matches the range's expression."""
    regex = numbers.regex()
    return regex is not None and re.fullmatch(regex, text) is not None


class TestIntegerRange:
    """`NumberRange` without fraction digits."""

    @settings(max_examples=150, deadline=None)
    @given(low=st.none() | integers, high=st.none() | integers, value=integers, open_=st.booleans(), data=st.data())
    def test_spells_exactly_the_integers_inside(
        self, low: int | None, high: int | None, value: int, open_: bool, data: st.DataObject
    ) -> None:
        """An integer matches iff it has at most 15 digits and lies in the range; bounds may be exclusive."""
        numbers = NumberRange(bound(low, exclusive=open_), bound(high, exclusive=False), 0)
        near = [value, *(edge + d for edge in (low, high) if edge is not None for d in (-1, 0, 1))]
        candidate = data.draw(st.sampled_from(near))

        expected = abs(candidate) < 10**15
        expected &= low is None or (low < candidate if open_ else low <= candidate)
        expected &= high is None or candidate <= high

        assert spells(numbers, str(candidate)) == expected

    @settings(max_examples=60, deadline=None)
    @given(low=st.integers(-3000, 3000), span=st.integers(-2, 300))
    def test_counts_every_integer_of_small_ranges(self, low: int, span: int) -> None:
        """Nothing is missing and nothing is added, over all of -3400..3400."""
        numbers = NumberRange(bound(low, exclusive=False), bound(low + span, exclusive=False), 0)

        found = [n for n in range(low - 100, low + span + 100) if spells(numbers, str(n))]

        assert found == list(range(low, low + span + 1))

    @settings(max_examples=60, deadline=None)
    @given(value=st.integers(-50_000, 50_000), low=st.integers(-50_000, 50_000))
    def test_steps_of_a_hundred(self, value: int, low: int) -> None:
        """`multipleOf: 100` leaves the multiples of 100."""
        numbers = NumberRange(bound(low, exclusive=False), None, -2)

        assert spells(numbers, str(value)) == (value % 100 == 0 and value >= low)


class TestDecimalRange:
    """`NumberRange` with fraction digits."""

    @settings(max_examples=250, deadline=None)
    @given(
        low=st.none() | decimals,
        high=st.none() | decimals,
        value=decimals,
        ends=st.tuples(st.booleans(), st.booleans()),
        data=st.data(),
    )
    def test_spells_exactly_the_numbers_inside(
        self, low: Decimal | None, high: Decimal | None, value: Decimal, ends: tuple[bool, bool], data: st.DataObject
    ) -> None:
        """A canonical number matches iff it lies in the range."""
        numbers = NumberRange(bound(low, exclusive=ends[0]), bound(high, exclusive=ends[1]))
        tiny = Decimal("0.000001")
        near = [value, *(edge + d for edge in (low, high) if edge is not None for d in (-tiny, Decimal(0), tiny))]
        candidate = data.draw(st.sampled_from(near))
        text = number_text(candidate)

        if text is not None:
            expected = low is None or (low < candidate if ends[0] else low <= candidate)
            expected &= high is None or (candidate < high if ends[1] else candidate <= high)
            assert spells(numbers, text) == expected
            assert numbers.holds(Fraction(candidate)) == expected

    @settings(max_examples=100, deadline=None)
    @given(value=decimals)
    def test_every_canonical_text_is_the_number(self, value: Decimal) -> None:
        """The spelling keeps the value, has no trailing zeros, and survives a double."""
        text = number_text(value)

        if text is not None:
            assert Decimal(text) == value
            assert number_text(Decimal(repr(float(text)))) == text
            assert "." not in text or text[-1] in "123456789"

    def test_other_spellings_are_not_generated(self) -> None:
        """Leading zeros, trailing zeros, exponents, -0 and a bare point never match."""
        for text in ("-0", "00", "01", "1.0", "1.50", "1e3", ".5", "5.", "+1", "-0.0", "0.0"):
            assert not spells(NumberRange(), text), text

    def test_an_empty_range_has_no_expression(self) -> None:
        """Bounds that exclude every number give None."""
        assert NumberRange(Bound(Fraction(5)), Bound(Fraction(4))).regex() is None
        assert NumberRange(Bound(Fraction(1, 3)), Bound(Fraction(2, 3)), 0).regex() is None
        assert NumberRange(Bound(Fraction(10**15)), None).regex() is None
