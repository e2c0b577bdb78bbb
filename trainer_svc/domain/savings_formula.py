"""The balance of an adapter written out with its numbers, so that a person can check it by hand."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from shared.usage import MILLITOKENS
from trainer_svc.domain.money import decimal_text
from trainer_svc.domain.savings import (
    MICROSECONDS_PER_HOUR,
    MILLION,
    WHOLE_PERCENT,
    JobCost,
    LabelCost,
    Savings,
    total,
)

MAX_LINES = 100
"""Of jobs, and of labels; what comes after them is one line."""
_PER_MILLION = "/ 1,000,000"
_SECONDS_PER_HOUR = MICROSECONDS_PER_HOUR // MILLION


def formula(found: Savings, currency: str) -> list[str]:
    """One line for each figure, in the order in which they follow from each other."""
    return [*_saving_lines(found, currency), *_cost_lines(found, currency), *_balance_lines(found, currency)]


def unknown_reasons(found: Savings) -> list[str]:
    """A sentence for each price or resource that is missing and would be needed."""
    counts, prices = found.traffic.counts, found.prices
    reasons = []
    if prices.prompt is None and (counts.prompt_tokens or counts.saved_instruction_tokens):
        reasons.append("The operator sets no price of prompt tokens (price_per_million_prompt_tokens).")
    if prices.output is None and (counts.output_tokens or counts.saved_output_millitokens):
        reasons.append("The operator sets no price of output tokens (price_per_million_output_tokens).")
    if found.hour_price is None and any(job.run_microseconds for job in found.jobs):
        reasons.append("The operator sets no price of a training hour (price_per_hour).")
    teachers = sorted({label.teacher for label in found.labels if label.cost is None})
    reasons += [
        f"The operator sets no price of an answer by the teacher {name} (price_per_answer)." for name in teachers
    ]
    missing = [*found.missing_jobs, *found.missing_datasets]
    return [*reasons, *(f"{name} is not stored, so that what it cost is not known." for name in missing)]


def _saving_lines(found: Savings, currency: str) -> Iterator[str]:
    counts, prices = found.traffic.counts, found.prices
    uncached = counts.prompt_tokens - counts.cached_prompt_tokens
    yield (
        f"serving cost = ({_count(counts.prompt_tokens)} - {_count(counts.cached_prompt_tokens)}) prompt tokens"
        f" x {_price(prices.prompt)} {_PER_MILLION}"
        f" + {_count(counts.cached_prompt_tokens)} cached x {_price(prices.cached)} {_PER_MILLION}"
        f" + {_count(counts.output_tokens)} output x {_price(prices.output)} {_PER_MILLION}"
        f" = {_money(found.serving_cost, currency)} ({_count(uncached)} prompt tokens were not cached)"
    )
    share, saved = prices.instruction_cache_percent, _count(counts.saved_instruction_tokens)
    yield (
        f"instruction saving = {saved} tokens x {share} % cached x {_price(prices.cached)} {_PER_MILLION}"
        f" + {saved} tokens x {WHOLE_PERCENT - share} % not cached x {_price(prices.prompt)} {_PER_MILLION}"
        f" = {_money(found.instruction_saving, currency)}"
    )
    output = decimal_text(Fraction(counts.saved_output_millitokens, MILLITOKENS), grouped=True)
    yield (
        f"output saving = {output} tokens x {_price(prices.output)} {_PER_MILLION}"
        f" = {_money(found.output_saving, currency)}"
    )
    yield (
        f"saving = {_money(found.instruction_saving, currency)} + {_money(found.output_saving, currency)}"
        f" = {_money(found.saving, currency)} against the base model with the instruction prompt at the same prices"
    )


def _cost_lines(found: Savings, currency: str) -> Iterator[str]:
    for job in found.jobs[:MAX_LINES]:
        yield _job_line(job, found.hour_price, currency)
    if rest := found.jobs[MAX_LINES:]:
        yield f"training, {len(rest)} older jobs = {_money(total([job.cost for job in rest]), currency)}"
    yield f"training cost = sum of {len(found.jobs)} jobs = {_money(found.training_cost, currency)}"
    for label in found.labels[:MAX_LINES]:
        yield _label_line(label, currency)
    if others := found.labels[MAX_LINES:]:
        yield f"labelling, {len(others)} other datasets = {_money(total([one.cost for one in others]), currency)}"
    yield f"labelling cost = sum of {len(found.labels)} datasets = {_money(found.labelling_cost, currency)}"


def _job_line(job: JobCost, hour_price: Fraction | None, currency: str) -> str:
    seconds = decimal_text(Fraction(job.run_microseconds, MILLION), grouped=True)
    return (
        f"training, {job.job} ({job.state.value}) = {seconds} s / {_SECONDS_PER_HOUR:,} x {_price(hour_price)}"
        f" = {_money(job.cost, currency)}"
    )


def _label_line(label: LabelCost, currency: str) -> str:
    return (
        f"labelling, {label.dataset} by {label.teacher} = {_count(label.answer_count)} answers x {_price(label.price)}"
        f" = {_money(label.cost, currency)}"
    )


def _balance_lines(found: Savings, currency: str) -> Iterator[str]:
    traffic, even = found.traffic, found.break_even
    answered, ever = _count(traffic.counts.answered_requests), _count(traffic.answered_ever)
    cost = _money(found.cost, currency)
    yield (f"cost = {_money(found.training_cost, currency)} + {_money(found.labelling_cost, currency)} = {cost}")
    yield f"net = {_money(found.saving, currency)} - {cost} = {_money(found.net, currency)}"
    if even.request_count is None:
        yield f"break-even: none, since {even.unknown_reason}"
        return
    yield (
        f"break-even = {cost} / ({_money(found.saving, currency)} / {answered} answered requests)"
        f" = {_count(even.request_count)} requests, rounded up"
    )
    if even.day_count is None:
        yield f"break-even in days: none, since {even.days_unknown_reason}"
    elif even.day_count == 0:
        yield f"break-even in days = 0: {ever} requests were answered already"
    elif even.requests_per_day is not None:
        yield (
            f"break-even in days = ({_count(even.request_count)} - {ever})"
            f" / {decimal_text(even.requests_per_day, grouped=True)} requests a day"
            f" = {_count(even.day_count)}, rounded up"
        )


def _count(number: int) -> str:
    return f"{number:,}"


def _price(price: Fraction | None) -> str:
    return "(no price)" if price is None else decimal_text(price, grouped=True)


def _money(amount: Fraction | None, currency: str) -> str:
    return "not known" if amount is None else f"{decimal_text(amount, grouped=True)} {currency}".rstrip()
