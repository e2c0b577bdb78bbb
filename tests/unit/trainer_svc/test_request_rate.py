"""How many requests a day an adapter answers of late."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from trainer_svc.domain.request_rate import requests_per_day, window_hours

NOW = 24 * 1000 + 13
"""One o'clock in the afternoon of some day."""


class TestWindow:
    """The last seven full days."""

    @given(st.integers(24 * 8, 10**6))
    def test_ends_with_yesterday(self, now: int) -> None:
        """Today is not full."""
        begin, end = window_hours(now)

        assert (begin % 24, end % 24, end - begin) == (0, 0, 7 * 24)
        assert end <= now < end + 24


class TestRate:
    """`requests_per_day`."""

    def test_is_the_mean_of_seven_full_days(self) -> None:
        """What came today or before does not count."""
        begin, end = window_hours(NOW)
        answered = {begin - 1: 1000, begin: 3, end - 1: 4, end: 1000, NOW: 1000}

        assert requests_per_day(begin - 1, answered, NOW) == 1

    def test_is_of_the_hours_since_the_first_request_where_those_are_less(self) -> None:
        """An adapter of this morning has a rate by now: nine requests in three hours, the present one included."""
        assert requests_per_day(NOW - 2, {NOW - 2: 4, NOW: 5}, NOW) == 9 * 24 // 3

    def test_is_none_without_requests(self) -> None:
        """Neither before the first nor after the last of long ago."""
        assert requests_per_day(None, {}, NOW) is None
        assert requests_per_day(5, {NOW: 7}, NOW) is None

    def test_takes_a_clock_that_was_set_back_for_the_hour_of_the_first_request(self) -> None:
        """No rate is negative, or of no time."""
        assert requests_per_day(NOW + 50, {NOW + 50: 2}, NOW) == 48

    @given(st.dictionaries(st.integers(NOW - 400, NOW), st.integers(1, 100), min_size=1))
    def test_is_what_the_hours_add_up_to(self, answered: dict[int, int]) -> None:
        """Against days counted one by one."""
        first = min(answered)
        hours = list(range(max(first, NOW - NOW % 24 - 168), NOW + 1))
        full = [hour for hour in hours if hour < NOW - NOW % 24] if first <= NOW - NOW % 24 - 168 else hours
        expected = Fraction(24 * sum(answered.get(hour, 0) for hour in full), len(full))

        assert (requests_per_day(first, answered, NOW) or 0) == expected
