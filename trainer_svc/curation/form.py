"""Ways to write dates, times, amounts and quantities."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_AMOUNT = r"-?\d{1,3}(?:[., ']?\d{3})*(?:[.,]\d{1,2})?"
_MONTH = r"[^\W\d_]{3,12}\.?"
_DATES = {
    "YYYY-MM-DD": r"\d{4}-\d{2}-\d{2}",
    "YYYY/MM/DD": r"\d{4}/\d{1,2}/\d{1,2}",
    "day/month/YYYY": r"\d{1,2}/\d{1,2}/\d{4}",
    "day.month.YYYY": r"\d{1,2}\. ?\d{1,2}\. ?\d{4}",
    "day-month-YYYY": r"\d{1,2}-\d{1,2}-\d{4}",
    "day/month/YY": r"\d{1,2}/\d{1,2}/\d{2}",
    "day.month.YY": r"\d{1,2}\.\d{1,2}\.\d{2}",
    "day month YYYY": rf"\d{{1,2}}(?:\.|st|nd|rd|th)? (?:de )?{_MONTH} (?:de )?\d{{4}}",
    "month day, YYYY": rf"{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}",
}
_ORDERS = {
    "day/month": r"(?:1[3-9]|2\d|3[01])[/-](?:0?[1-9]|1[0-2])[/-]\d{2,4}",
    "month/day": r"(?:0?[1-9]|1[0-2])[/-](?:1[3-9]|2\d|3[01])[/-]\d{2,4}",
}
_TIMES = {
    "HH:MM": r"\d{1,2}:\d{2}",
    "HH:MM:SS": r"\d{1,2}:\d{2}:\d{2}",
    "am/pm": r"\d{1,2}(?::\d{2})? ?[AaPp]\.?[Mm]\.?",
}
_MARKS = {
    "12.50": r"-?\d{1,3}(?:[, ']?\d{3})*\.\d{1,2}",
    "12,50": r"-?\d{1,3}(?:[. ']?\d{3})*,\d{1,2}",
}
_QUANTITIES = {
    "a number and its unit apart (4 kg)": rf"{_AMOUNT} [^\W\d_]{{1,3}}",
    "a number and its unit in one (4kg)": rf"{_AMOUNT}[^\W\d_]{{1,3}}",
    "a sign before the number (€4)": rf"[$€£¥] ?{_AMOUNT}",
    "a sign after the number (4 €)": rf"{_AMOUNT} ?[$€£¥]",
    "a unit before the number (EUR 4)": rf"[A-Z]{{3}} ?{_AMOUNT}",
}


def _told_by(ways: Mapping[str, str]) -> Callable[[object], str]:
    """A function that names the way in which a value is written; empty if in none of them."""
    patterns = [(name, re.compile(pattern)) for name, pattern in ways.items()]

    def form(value: object) -> str:
        text = value if isinstance(value, str) else ""
        return next((name for name, pattern in patterns if pattern.fullmatch(text)), "")

    return form


_text_number = _told_by({"text": _AMOUNT})


def _type(value: object) -> str:
    return _text_number(value) if isinstance(value, str) else "a JSON number"


FORMS: Mapping[str, Callable[[object], str]] = {
    "date": _told_by(_DATES),
    "date with numbers only": _told_by(_ORDERS),
    "time": _told_by(_TIMES),
    "decimal number": _told_by(_MARKS),
    "quantity": _told_by(_QUANTITIES),
    "number": _type,
}
"""By what is written; each names the way of a value, or nothing where it is none."""
