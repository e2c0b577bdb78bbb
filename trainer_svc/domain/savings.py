"""What an adapter saves against the base model with the instruction prompt, what it cost, and when it has paid.

Amounts are exact fractions; None stands for an amount that nobody knows, which is never taken for 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from shared.names import invalid_field
from shared.usage import MILLITOKENS, UsageCounts
from trainer_svc.domain.job import JobState
from trainer_svc.domain.money import rounded

MILLION = 1_000_000
WHOLE_PERCENT = 100
MICROSECONDS_PER_HOUR = 3600 * MILLION


@dataclass(frozen=True)
class TokenPrices:
    """Of a million tokens each; None where nobody says."""

    prompt: Fraction | None = None
    cached: Fraction | None = None
    """Prompt tokens that the prefix cache holds. Where it is not set, `filled` takes that of the others."""
    output: Fraction | None = None
    instruction_cache_percent: int = WHOLE_PERCENT
    """Share of an instruction prompt's tokens that the base model would find in its prefix cache."""

    def filled(self) -> TokenPrices:
        """With a price of cached tokens, if there is one of others."""
        cached = self.prompt if self.cached is None else self.cached
        return TokenPrices(self.prompt, cached, self.output, self.instruction_cache_percent)


@dataclass(frozen=True)
class JobCost:
    """A training job; `run_microseconds` is the time that workers were at it."""

    job: str
    state: JobState
    revision: str
    run_microseconds: int
    cost: Fraction | None


@dataclass(frozen=True)
class LabelCost:
    """The labels that a teacher gave one dataset."""

    dataset: str
    teacher: str
    answer_count: int
    price: Fraction | None
    """Of an answer."""

    @property
    def cost(self) -> Fraction | None:
        """`answers * price`."""
        if not self.answer_count:
            return Fraction(0)
        return None if self.price is None else self.answer_count * self.price


@dataclass(frozen=True)
class Traffic:
    """What was counted."""

    counts: UsageCounts
    first_hour: datetime | None
    end: datetime | None
    """End of the last hour; both are None where nothing was counted."""
    requests_per_day: Fraction | None
    """Of late, whatever the period of the counts; from 1/7, and None where there were none."""
    answered_ever: int
    """Requests, whatever the period of the counts."""


@dataclass(frozen=True)
class BreakEven:
    """When an adapter has paid. Where a figure is None, the reason beside it says why."""

    request_count: int | None
    unknown_reason: str
    requests_per_day: Fraction | None
    day_count: int | None
    days_unknown_reason: str
    time: datetime | None
    """None too where it is past, and after the year 9999."""


@dataclass(frozen=True)
class Savings:
    """The balance of an adapter; the amounts follow from `traffic`, `prices` and the costs."""

    traffic: Traffic
    prices: TokenPrices
    hour_price: Fraction | None
    jobs: Sequence[JobCost]
    labels: Sequence[LabelCost]
    now: datetime
    missing_jobs: Sequence[str] = ()
    """Names of those that made a revision and are not stored, so that their cost is not known."""
    missing_datasets: Sequence[str] = ()
    """Names of those that were trained on and are not stored."""

    @property
    def serving_cost(self) -> Fraction | None:
        """`(prompt - cached) * p + cached * c + output * o`, prices a million tokens."""
        counts, prices = self.traffic.counts, self.prices
        uncached = counts.prompt_tokens - counts.cached_prompt_tokens
        return total(
            [
                token_cost(uncached, prices.prompt),
                token_cost(counts.cached_prompt_tokens, prices.cached),
                token_cost(counts.output_tokens, prices.output),
            ]
        )

    @property
    def instruction_saving(self) -> Fraction | None:
        """`saved * s * c / 100 + saved * (100 - s) * p / 100` for a share of s percent in the prefix cache.

        Negative where saved is.
        """
        saved, share = self.traffic.counts.saved_instruction_tokens, self.prices.instruction_cache_percent
        return total(
            [
                token_cost(Fraction(saved * share, WHOLE_PERCENT), self.prices.cached),
                token_cost(Fraction(saved * (WHOLE_PERCENT - share), WHOLE_PERCENT), self.prices.prompt),
            ]
        )

    @property
    def output_saving(self) -> Fraction | None:
        """`saved output * o`; negative where the adapter writes more."""
        return token_cost(Fraction(self.traffic.counts.saved_output_millitokens, MILLITOKENS), self.prices.output)

    @property
    def saving(self) -> Fraction | None:
        """Both savings."""
        return total([self.instruction_saving, self.output_saving])

    @property
    def training_cost(self) -> Fraction | None:
        """Of all jobs."""
        return None if self.missing_jobs else total([job.cost for job in self.jobs])

    @property
    def labelling_cost(self) -> Fraction | None:
        """Of all labels."""
        if self.missing_jobs or self.missing_datasets:
            return None
        return total([label.cost for label in self.labels])

    @property
    def cost(self) -> Fraction | None:
        """What the adapter cost before its first request."""
        return total([self.training_cost, self.labelling_cost])

    @property
    def net(self) -> Fraction | None:
        """`saving - cost`."""
        return None if self.saving is None or self.cost is None else self.saving - self.cost

    @property
    def break_even(self) -> BreakEven:
        """See `break_even`."""
        return break_even(self.cost, self.saving, self.traffic, self.now)


def check_percent(value: int, field: str) -> int:
    """`value` if it is a percentage. Raises `InvalidInput` naming `field`."""
    if not 0 <= value <= WHOLE_PERCENT:
        raise invalid_field(field, f"must be 0 to {WHOLE_PERCENT}, got {value}")
    return value


def token_cost(count: int | Fraction, price: Fraction | None) -> Fraction | None:
    """`count * price / 1,000,000`; no tokens cost nothing at any price."""
    if not count:
        return Fraction(0)
    return None if price is None else count * price / MILLION


def run_cost(microseconds: int, hour_price: Fraction | None) -> Fraction | None:
    """`hours * price`, rounded, since an hour's third is no decimal."""
    if not microseconds:
        return Fraction(0)
    return None if hour_price is None else rounded(microseconds * hour_price / MICROSECONDS_PER_HOUR)


def total(amounts: Sequence[Fraction | None]) -> Fraction | None:
    """Their sum; None where one is not known."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Fraction(0)) if len(known) == len(amounts) else None


def break_even(cost: Fraction | None, saving: Fraction | None, traffic: Traffic, now: datetime) -> BreakEven:
    """`requests = ceil(cost / (saving / answered))`, `days = ceil((requests - answered ever) / requests per day)`.

    The rate is rounded before it is used, so that whoever works out what is shown comes to the same day.
    """
    answered = traffic.counts.answered_requests
    rate = None if traffic.requests_per_day is None else rounded(traffic.requests_per_day)
    reason = _unknown(cost, saving, answered)
    if reason or cost is None or saving is None:
        return BreakEven(None, reason, rate, None, reason, None)
    count = math.ceil(cost * answered / saving)
    rest = max(0, count - traffic.answered_ever)
    if not rest:
        return BreakEven(count, "", rate, 0, "", None)
    if rate is None:
        return BreakEven(count, "", None, None, "no request was answered in the last 7 full days", None)
    return BreakEven(count, "", rate, math.ceil(rest / rate), "", _after(now, rest / rate))


def _unknown(cost: Fraction | None, saving: Fraction | None, answered: int) -> str:
    if cost is None:
        return "what the adapter cost is not known"
    if not answered:
        return "no request was answered"
    if saving is None:
        return "what a request saves is not known"
    return "a request saves nothing" if saving <= 0 else ""


def _after(now: datetime, days: Fraction) -> datetime | None:
    last = datetime.max.replace(tzinfo=UTC)
    if days > (last - now).days:
        return None
    return now + timedelta(microseconds=math.ceil(days * 24 * MICROSECONDS_PER_HOUR))
