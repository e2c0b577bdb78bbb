"""What one tenant may use: rates, requests at once, and its weight against others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from shared.errors import Exhausted, FieldViolation, InvalidInput

_MINUTE_SECONDS = 60.0
_COUNTS = ("running_requests", "waiting_requests")


@dataclass(frozen=True)
class Quota:
    """Limits of one tenant on this replica; infinity is no limit.

    Raises:
        InvalidInput: FIELD_INVALID listing every field that is not above 0, and every count that is not whole.
    """

    weight: float = 1.0
    """Share of the engine against others while it is full."""
    requests_per_second: float = math.inf
    """A second's worth may come at once."""
    tokens_per_minute: float = math.inf
    """Uncached prompt and output; a minute's worth may come at once."""
    running_requests: float = math.inf
    """In the engine at once; more wait."""
    waiting_requests: float = math.inf
    """Waiting at once; more are refused."""

    def __post_init__(self) -> None:
        """Refuses what would serve nobody."""
        violations = []
        for name, value in ((field.name, getattr(self, field.name)) for field in fields(self)):
            if not value > 0:
                violations.append(FieldViolation(name, f"must be above 0, got {value}"))
            elif name in _COUNTS and math.isfinite(value) and value != math.floor(value):
                violations.append(FieldViolation(name, f"must be a whole number or inf, got {value}"))
        if math.isinf(self.weight):
            violations.append(FieldViolation("weight", "must be finite"))
        if violations:
            text = "; ".join(f"{v.path}: {v.description}" for v in violations)
            raise InvalidInput("FIELD_INVALID", text, violations=violations)


class TokenBucket:
    """Lets `rate` through a second, up to `capacity` at once (a leaky bucket as a meter, ITU-T I.371).

    Times are seconds of any clock; one that is set back costs nobody anything. More than the capacity is let through
    by a full bucket, which then owes the rest. An infinite rate lets everything through.
    """

    def __init__(self, rate: float, capacity: float, now: float) -> None:
        self._rate, self._capacity = rate, capacity
        self._level, self._filled = capacity, now

    def seconds_until(self, amount: float, now: float) -> float:
        """Time after which `amount` gets through if nothing else is taken until then; 0 when it does at once."""
        if math.isinf(self._rate):
            return 0.0
        self._fill(now)
        return max(0.0, (min(amount, self._capacity) - self._level) / self._rate)

    def take(self, amount: float) -> None:
        """Takes what was let through; a negative amount gives it back."""
        if math.isfinite(self._rate):
            self._level = min(self._capacity, self._level - amount)

    def is_full(self, now: float) -> bool:
        """Whether it is like new."""
        self._fill(now)
        return self._level >= self._capacity

    def _fill(self, now: float) -> None:
        if math.isfinite(self._rate):
            self._level = min(self._capacity, self._level + self._rate * max(0.0, now - self._filled))
        self._filled = now


class Account:
    """What one tenant has used of its quota. Requests at once are counted elsewhere, where they run and wait."""

    def __init__(self, quota: Quota, now: float) -> None:
        self._quota = quota
        self._requests, self._tokens = _request_bucket(quota, now), _token_bucket(quota, now)

    @property
    def quota(self) -> Quota:
        """The limits in force."""
        return self._quota

    def change(self, quota: Quota, now: float) -> None:
        """Puts other limits in force; a rate that changes begins with a full bucket."""
        if quota.requests_per_second != self._quota.requests_per_second:
            self._requests = _request_bucket(quota, now)
        if quota.tokens_per_minute != self._quota.tokens_per_minute:
            self._tokens = _token_bucket(quota, now)
        self._quota = quota

    def take_request(self, now: float) -> None:
        """Charges a request, whatever becomes of it.

        Raises:
            Exhausted: QUOTA_EXCEEDED naming requests_per_second, with the time after which a request gets through.
        """
        wait = self._requests.seconds_until(1.0, now)
        if wait > 0:
            raise quota_exceeded("requests_per_second", self._quota.requests_per_second, wait)
        self._requests.take(1.0)

    def take_tokens(self, expected: int, now: float) -> None:
        """Charges what a request is expected to cost, until it is settled.

        Raises:
            Exhausted: QUOTA_EXCEEDED naming tokens_per_minute, with the time after which the request gets through.
        """
        wait = self._tokens.seconds_until(expected, now)
        if wait > 0:
            metadata = {"expected_tokens": str(expected)}
            raise quota_exceeded("tokens_per_minute", self._quota.tokens_per_minute, wait, metadata)
        self._tokens.take(expected)

    def settle(self, expected: int, tokens: int) -> None:
        """Charges what a request has cost in place of what was expected of it."""
        self._tokens.take(tokens - expected)

    def is_fresh(self, now: float) -> bool:
        """Whether it is like that of a tenant who never came."""
        return self._requests.is_full(now) and self._tokens.is_full(now)


def _request_bucket(quota: Quota, now: float) -> TokenBucket:
    rate = quota.requests_per_second
    return TokenBucket(rate, max(1.0, rate), now)


def _token_bucket(quota: Quota, now: float) -> TokenBucket:
    return TokenBucket(quota.tokens_per_minute / _MINUTE_SECONDS, quota.tokens_per_minute, now)


def quota_exceeded(
    name: str, limit: float, retry_after_seconds: float, metadata: Mapping[str, str] | None = None
) -> Exhausted:
    """The refusal that names a limit of the tenant."""
    return Exhausted(
        "QUOTA_EXCEEDED",
        f"the tenant's quota of {limit:g} {name} is used up",
        hint=f"try again in {retry_after_seconds:.3g} s, or ask the operator for a larger quota",
        metadata={"quota": name, "limit": f"{limit:g}", **(metadata or {})},
        retry_after_seconds=retry_after_seconds,
    )
