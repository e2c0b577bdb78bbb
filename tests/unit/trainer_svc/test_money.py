"""Amounts of money."""

from __future__ import annotations

from decimal import Decimal, Inexact
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidInput
from trainer_svc.domain.money import decimal_text, read_price, rounded


class TestReadPrice:
    """`read_price`."""

    @given(st.integers(0, 999_999), st.integers(0, 999_999))
    def test_takes_every_digit(self, whole: int, part: int) -> None:
        """A price is what is written, not the nearest float."""
        assert read_price(f"{whole}.{part:06d}", "p") == Fraction(whole * 10**6 + part, 10**6)

    def test_is_none_where_nothing_is_written(self) -> None:
        """An empty text is no price, and not 0."""
        assert read_price("", "p") is None
        assert read_price("0", "p") == 0

    @pytest.mark.parametrize(
        "text", ["-1", "1e3", "1,5", ".5", "5.", "nan", "inf", " 1", "1\n", "1000000", "0.1234567", "\u0661"]
    )
    def test_refuses_what_is_no_plain_decimal(self, text: str) -> None:
        """The field is named."""
        with pytest.raises(InvalidInput, match=r"prices\.x"):
            read_price(text, "prices.x")


class TestDecimalText:
    """`decimal_text`."""

    @given(st.integers(-(10**30), 10**30), st.integers(0, 18))
    def test_keeps_every_digit(self, number: int, digits: int) -> None:
        """Read again, it is the same amount."""
        amount = Fraction(number, 10**digits)

        assert Fraction(Decimal(decimal_text(amount))) == amount
        assert Fraction(Decimal(decimal_text(amount, grouped=True).replace(",", ""))) == amount

    @pytest.mark.parametrize(
        ("amount", "text"),
        [(Fraction(0), "0"), (Fraction(1200), "1,200"), (Fraction(-25, 2), "-12.5"), (Fraction(1, 10**6), "0.000001")],
    )
    def test_reads_as_people_write(self, amount: Fraction, text: str) -> None:
        """No exponents, no zeros at the end."""
        assert decimal_text(amount, grouped=True) == text

    def test_cuts_nothing_off(self) -> None:
        """A third is no decimal."""
        with pytest.raises(Inexact):
            decimal_text(Fraction(1, 3))


class TestRounded:
    """`rounded`."""

    @given(st.fractions(-(10**6), 10**6, max_denominator=10**9))
    def test_is_the_nearest_millionth(self, amount: Fraction) -> None:
        """Never off by more than half of one, and as far below 0 as above."""
        assert abs(rounded(amount) - amount) <= Fraction(1, 2 * 10**6)
        assert rounded(amount) * 10**6 == int(rounded(amount) * 10**6)
        assert rounded(-amount) == -rounded(amount)

    def test_takes_halves_away_from_nothing(self) -> None:
        """As a bill does."""
        assert rounded(Fraction(5, 10**7)) == Fraction(1, 10**6)
