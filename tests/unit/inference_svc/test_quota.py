"""What one tenant may use."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_svc.config import Settings
from inference_svc.domain.quota import Account, Quota, TokenBucket
from shared.errors import Exhausted, InvalidInput


def refusal_of(take: Callable[[], None]) -> Exhausted | None:
    """What taking is refused with; None when it was taken."""
    try:
        take()
    except Exhausted as err:
        return err
    return None


def tokens_refused(account: Account, tokens: int, now: float) -> Exhausted | None:
    """Takes tokens, or says why not."""
    return refusal_of(lambda: account.take_tokens(tokens, now))


class TestTokenBucket:
    """A rate with a burst."""

    @given(
        st.floats(0.1, 100),
        st.floats(1, 100),
        st.lists(st.tuples(st.floats(0, 5), st.floats(0, 300)), max_size=40),
    )
    def test_never_lets_more_through_than_rate_and_burst(
        self, rate: float, capacity: float, asked: list[tuple[float, float]]
    ) -> None:
        """In any time the amount is at most the capacity, the rate's worth, and one request that was larger."""
        now = taken = largest = 0.0
        bucket = TokenBucket(rate, capacity, now)
        for pause, amount in asked:
            now += pause
            if bucket.seconds_until(amount, now) == 0:
                bucket.take(amount)
                taken += amount
                largest = max(largest, amount)

        assert taken <= capacity + rate * now + largest + 1e-6

    @given(st.floats(0.1, 100), st.floats(1, 100), st.floats(0, 300), st.floats(0, 300))
    def test_says_when_honestly(self, rate: float, capacity: float, first: float, second: float) -> None:
        """A request gets through at the time it was told, and not well before."""
        bucket = TokenBucket(rate, capacity, 0.0)
        bucket.take(first)
        wait = bucket.seconds_until(second, 0.0)

        assert bucket.seconds_until(second, 0.99 * wait - 1e-9) > 0 or wait < 1e-6
        assert bucket.seconds_until(second, wait * (1 + 1e-9) + 1e-6) == 0

    def test_a_clock_that_is_set_back_costs_nothing(self) -> None:
        """It fills on from the new time."""
        bucket = TokenBucket(1.0, 1.0, now=1000.0)
        bucket.take(1.0)
        assert bucket.seconds_until(1.0, 10.0) == 1.0

        assert bucket.seconds_until(1.0, 11.0) == 0

    def test_an_infinite_rate_lets_everything_through(self) -> None:
        """For ever."""
        bucket = TokenBucket(math.inf, math.inf, 0.0)
        bucket.take(1e12)

        assert bucket.seconds_until(1e12, 0.0) == 0
        assert bucket.is_full(0.0)


class TestAccount:
    """What a tenant has used."""

    def test_refuses_requests_by_the_name_of_the_rate_and_says_when(self) -> None:
        """One second's worth at once; then the time until the next."""
        account = Account(Quota(requests_per_second=2), 0.0)
        assert [refusal_of(lambda: account.take_request(0.0)) for _ in range(2)] == [None, None]

        error = refusal_of(lambda: account.take_request(0.0))

        assert error is not None
        assert error.reason == "QUOTA_EXCEEDED"
        assert error.metadata == {"quota": "requests_per_second", "limit": "2"}
        assert error.retry_after_seconds == pytest.approx(0.5)
        assert refusal_of(lambda: account.take_request(0.5)) is None

    def test_refuses_tokens_by_what_the_request_is_expected_to_cost(self) -> None:
        """Who is refused has used up nothing: a request that costs less still passes."""
        account = Account(Quota(tokens_per_minute=600), 0.0)
        assert tokens_refused(account, 500, 0.0) is None

        error = tokens_refused(account, 200, 1.0)

        assert error is not None
        assert error.metadata == {"quota": "tokens_per_minute", "limit": "600", "expected_tokens": "200"}
        assert error.retry_after_seconds == pytest.approx(9.0)
        assert tokens_refused(account, 100, 1.0) is None

    def test_charges_what_was_used_in_place_of_what_was_expected(self) -> None:
        """An answer that was shorter leaves more for the next; one that was longer, less."""
        account = Account(Quota(tokens_per_minute=600), 0.0)
        account.take_tokens(600, 0.0)
        account.settle(600, 100)
        assert tokens_refused(account, 500, 0.0) is None
        account.settle(500, 700)

        error = tokens_refused(account, 10, 0.0)

        assert error is not None
        assert error.retry_after_seconds == pytest.approx(21.0)

    def test_a_request_larger_than_a_minutes_tokens_needs_them_all(self) -> None:
        """It is not refused for ever: it gets through when nothing else is owed, and then owes."""
        account = Account(Quota(tokens_per_minute=600), 0.0)
        assert tokens_refused(account, 1800, 0.0) is None

        error = tokens_refused(account, 1, 0.0)

        assert error is not None
        assert error.retry_after_seconds == pytest.approx(120.1)

    def test_a_changed_rate_begins_with_a_full_bucket_and_others_go_on(self) -> None:
        """A larger quota helps at once; what was used of another one stays used."""
        account = Account(Quota(requests_per_second=1, tokens_per_minute=600), 0.0)
        assert tokens_refused(account, 600, 0.0) is None
        account.change(Quota(requests_per_second=5, tokens_per_minute=600), 0.0)

        error = tokens_refused(account, 60, 0.0)

        assert error is not None
        assert error.metadata["quota"] == "tokens_per_minute"


class TestQuota:
    """The limits themselves."""

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("weight", 0.0),
            ("weight", math.inf),
            ("requests_per_second", -1.0),
            ("requests_per_second", math.nan),
            ("tokens_per_minute", 0.0),
            ("running_requests", 1.5),
            ("waiting_requests", 0.5),
        ],
    )
    def test_serve_somebody(self, field: str, value: float) -> None:
        """What would serve nobody or mean nothing is refused by its name."""
        with pytest.raises(InvalidInput) as caught:
            Quota(**{field: value})

        assert [violation.path for violation in caught.value.violations] == [field]

    def test_of_the_settings_name_the_settings(self, tmp_path: Path) -> None:
        """An operator reads the name that was typed."""
        with pytest.raises(InvalidInput, match="tenant_requests_per_second: must be above 0, got -1"):
            Settings(base_model_dir=tmp_path, registry="127.0.0.1:1", tenant_requests_per_second=-1)
