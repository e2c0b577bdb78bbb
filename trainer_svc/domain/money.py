"""Money as exact fractions, and as the decimals that people write and read."""

from __future__ import annotations

import math
import re
from decimal import Context, Decimal, Inexact
from fractions import Fraction

from shared.names import invalid_field

ROUNDED_DIGITS = 6
"""After the point, of an amount that no decimal could hold, such as that of a third of an hour."""
_PRICE = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")
_EXACT = Context(prec=200, traps=[Inexact])
"""Amounts are counts of at most 19 digits times prices of 12 and a share of 3: nothing is ever cut off."""


def read_price(text: str, field: str) -> Fraction | None:
    """A price; None for an empty text.

    Raises:
        InvalidInput: FIELD_INVALID naming `field`, for anything but a decimal of at most 6 digits before and 6 after
            the point.
    """
    if not text:
        return None
    if not _PRICE.fullmatch(text):
        raise invalid_field(field, f"must be a decimal like 0.25, up to 999999.999999, got {text[:80]!r}")
    return Fraction(text)


def rounded(amount: Fraction) -> Fraction:
    """To `ROUNDED_DIGITS` after the point, halves away from 0."""
    scale = 10**ROUNDED_DIGITS
    size = math.floor(abs(amount) * scale + Fraction(1, 2))
    return Fraction(size if amount >= 0 else -size, scale)


def decimal_text(amount: Fraction, *, grouped: bool = False) -> str:
    """All digits of an amount that is a decimal, such as "-12.5"; `grouped` puts commas between thousands.

    Raises `decimal.Inexact` for one that is none.
    """
    value = _EXACT.divide(Decimal(amount.numerator), Decimal(amount.denominator))
    text = f"{value:,f}" if grouped else f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
