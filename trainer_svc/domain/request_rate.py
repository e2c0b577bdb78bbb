"""How many requests a day an adapter answers of late."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

HOURS_PER_DAY = 24
WINDOW_DAYS = 7
"""Whole weeks, so that no weekend counts twice."""


def window_hours(now_hour: int) -> tuple[int, int]:
    """First hour of the last 7 full days, UTC, and the hour after their last."""
    end = now_hour - now_hour % HOURS_PER_DAY
    return end - WINDOW_DAYS * HOURS_PER_DAY, end


def requests_per_day(first_hour: int | None, answered_by_hour: Mapping[int, int], now_hour: int) -> Fraction | None:
    """`requests * 24 / hours`, over the last 7 full days, UTC.

    Where the first request is later than their begin, over the hours since the first one, that of now included. None
    where no request was answered then.

    Args:
        first_hour: since 1970, in which the first request of all was counted; None where none was.
        answered_by_hour: requests by hour; must hold all hours from the window's begin on.
        now_hour: of now; a clock that was set back before the first request counts as if it was that hour.
    """
    if first_hour is None:
        return None
    begin, end = window_hours(now_hour)
    if first_hour > begin:
        begin, end = first_hour, max(now_hour, first_hour) + 1
    count = sum(number for hour, number in answered_by_hour.items() if begin <= hour < end)
    return Fraction(count * HOURS_PER_DAY, end - begin) or None
