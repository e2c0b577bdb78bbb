"""The balance of an adapter, against the same by hand."""

from __future__ import annotations

import dataclasses
import math
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from shared.usage import UsageCounts
from trainer_svc.domain.job import JobState
from trainer_svc.domain.money import rounded
from trainer_svc.domain.savings import JobCost, LabelCost, Savings, TokenPrices, Traffic, run_cost
from trainer_svc.domain.savings_formula import MAX_LINES, formula, unknown_reasons

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
COUNTS = UsageCounts(
    answered_requests=1200, failed_requests=3, prompt_tokens=120_000, cached_prompt_tokens=20_000, output_tokens=9_000,
    saved_instruction_tokens=1_204_800, saved_output_millitokens=3_600_500,
)  # fmt: skip
PRICES = TokenPrices(Fraction("0.5"), Fraction("0.05"), Fraction("1.5"))
JOB = JobCost("tenants/acme/jobs/j", JobState.SUCCEEDED, "r", 1_800_000_000, run_cost(1_800_000_000, Fraction("0.9")))
LABELS = LabelCost("tenants/acme/datasets/d", "large", 300, Fraction("0.002"))
BALANCE = Savings(
    traffic=Traffic(COUNTS, NOW, NOW, Fraction(300), 1200), prices=PRICES, hour_price=Fraction("0.9"), jobs=[JOB],
    labels=[LABELS], now=NOW,
)  # fmt: skip

_WRITTEN_OUT = """\
serving cost = (120,000 - 20,000) prompt tokens x 0.5 / 1,000,000 + 20,000 cached x 0.05 / 1,000,000 \
+ 9,000 output x 1.5 / 1,000,000 = 0.0645 EUR (100,000 prompt tokens were not cached)
instruction saving = 1,204,800 tokens x 100 % cached x 0.05 / 1,000,000 \
+ 1,204,800 tokens x 0 % not cached x 0.5 / 1,000,000 = 0.06024 EUR
output saving = 3,600.5 tokens x 1.5 / 1,000,000 = 0.00540075 EUR
saving = 0.06024 EUR + 0.00540075 EUR = 0.06564075 EUR \
against the base model with the instruction prompt at the same prices
training, tenants/acme/jobs/j (succeeded) = 1,800 s / 3,600 x 0.9 = 0.45 EUR
training cost = sum of 1 jobs = 0.45 EUR
labelling, tenants/acme/datasets/d by large = 300 answers x 0.002 = 0.6 EUR
labelling cost = sum of 1 datasets = 0.6 EUR
cost = 0.45 EUR + 0.6 EUR = 1.05 EUR
net = 0.06564075 EUR - 1.05 EUR = -0.98435925 EUR
break-even = 1.05 EUR / (0.06564075 EUR / 1,200 answered requests) = 19,196 requests, rounded up
break-even in days = (19,196 - 1,200) / 300 requests a day = 60, rounded up"""

prices = st.fractions(0, 1000, max_denominator=1).map(lambda whole: whole / 1000)
numbers = st.integers(0, 10**13)


def _with(**changes: object) -> Savings:
    return dataclasses.replace(BALANCE, **changes)  # type: ignore[arg-type]  # fields by name


def _served(counts: UsageCounts, rate: int | None = 300) -> Savings:
    return _with(traffic=Traffic(counts, NOW, NOW, None if rate is None else Fraction(rate), counts.answered_requests))


class TestSaving:
    """Amounts of what was counted."""

    def test_of_a_worked_example(self) -> None:
        """100,000 x 0.5 + 20,000 x 0.05 + 9,000 x 1.5, and 1,204,800 x 0.05 + 3,600.5 x 1.5, a million."""
        assert BALANCE.serving_cost == Fraction("0.0645")
        assert BALANCE.instruction_saving == Fraction("0.06024")
        assert BALANCE.output_saving == Fraction("0.00540075")
        assert BALANCE.saving == Fraction("0.06564075")

    @given(st.tuples(*[numbers] * 4), st.integers(-(10**13), 10**13), st.tuples(*[prices] * 3), st.integers(0, 100))
    def test_is_exact(self, tokens: tuple[int, ...], milli: int, tariff: tuple[Fraction, ...], share: int) -> None:
        """No number of tokens and no price loses a digit."""
        (prompt, cached, output, saved), (p, c, o) = tokens, tariff
        counts = UsageCounts(
            prompt_tokens=prompt + cached, cached_prompt_tokens=cached, output_tokens=output,
            saved_instruction_tokens=saved, saved_output_millitokens=milli,
        )  # fmt: skip
        found = _with(traffic=Traffic(counts, NOW, NOW, None, 0), prices=TokenPrices(p, c, o, share))

        assert found.serving_cost == (prompt * p + cached * c + output * o) / 10**6
        assert found.instruction_saving == (saved * share * c + saved * (100 - share) * p) / 10**8
        assert found.output_saving == milli * o / 10**9
        assert found.saving == (found.instruction_saving or 0) + (found.output_saving or 0)

    def test_takes_the_common_price_for_cached_tokens_without_their_own(self) -> None:
        """An operator who sets one price gives no discount."""
        found = _with(prices=TokenPrices(Fraction(2), None, Fraction(0)).filled())

        assert found.instruction_saving == Fraction(1_204_800 * 2, 10**6)

    def test_is_unknown_without_a_price_and_not_nothing(self) -> None:
        """Only what needs the price is."""
        found = _with(prices=TokenPrices(Fraction(2), None, None).filled())

        assert (found.output_saving, found.saving, found.net, found.serving_cost) == (None, None, None, None)
        assert found.instruction_saving is not None
        assert found.break_even.unknown_reason == "what a request saves is not known"

    def test_of_nothing_is_nothing_at_any_price(self) -> None:
        """Also where no price is set."""
        assert _with(traffic=Traffic(UsageCounts(), None, None, None, 0), prices=TokenPrices()).saving == 0


class TestCost:
    """What the adapter cost."""

    def test_of_a_worked_example(self) -> None:
        """Half an hour at 0.9, and 300 answers at 0.002."""
        assert (BALANCE.training_cost, BALANCE.labelling_cost) == (Fraction("0.45"), Fraction("0.6"))
        assert BALANCE.net == Fraction("0.06564075") - Fraction("1.05")

    @given(st.lists(st.integers(0, 10**12), max_size=20), prices)
    def test_is_the_sum_of_rounded_jobs(self, runs: list[int], price: Fraction) -> None:
        """So that what is shown of each adds up to what is shown of all."""
        jobs = [JobCost(f"j{i}", JobState.FAILED, "", run, run_cost(run, price)) for i, run in enumerate(runs)]
        by_hand = sum((Fraction(math.floor(run * price / 3600 + Fraction(1, 2)), 10**6) for run in runs), Fraction(0))

        assert _with(jobs=jobs, labels=[]).cost == by_hand

    def test_is_unknown_without_a_price(self) -> None:
        """A training of unknown price is no free one; nor are labels."""
        free = _with(jobs=[dataclasses.replace(JOB, cost=None)], hour_price=None)
        unlabelled = _with(labels=[dataclasses.replace(LABELS, price=None)])

        assert (free.training_cost, free.labelling_cost, free.net) == (None, Fraction("0.6"), None)
        assert (unlabelled.training_cost, unlabelled.labelling_cost) == (Fraction("0.45"), None)
        assert free.break_even.unknown_reason == "what the adapter cost is not known"
        assert unknown_reasons(free) == ["The operator sets no price of a training hour (price_per_hour)."]
        assert "by the teacher large" in unknown_reasons(unlabelled)[0]

    def test_of_a_job_that_did_not_run_is_nothing(self) -> None:
        """Also where no price is set."""
        assert run_cost(0, None) == 0

    def test_is_unknown_where_something_is_not_stored(self) -> None:
        """A missing job may have been the dearest, and may have been trained on labels."""
        lost_job, lost_rows = _with(missing_jobs=["tenants/a/jobs/x"]), _with(missing_datasets=["tenants/a/datasets/x"])

        assert (lost_job.training_cost, lost_job.labelling_cost) == (None, None)
        assert (lost_rows.training_cost, lost_rows.labelling_cost) == (Fraction("0.45"), None)
        assert unknown_reasons(lost_job) == ["tenants/a/jobs/x is not stored, so that what it cost is not known."]


class TestBreakEven:
    """When it has paid."""

    def test_of_a_worked_example(self) -> None:
        """1.05 / (0.06564075 / 1,200) is 19,195.4; the rest after 1,200 takes 59.99 days at 300 a day."""
        even = BALANCE.break_even

        assert (even.request_count, even.day_count) == (19_196, 60)
        assert even.time == NOW + timedelta(days=(19_196 - 1200) / 300)

    @given(st.integers(1, 10**9), st.integers(1, 10**12), st.integers(1, 10**9), st.integers(1, 10**6))
    def test_is_the_first_request_that_pays(self, answered: int, saved: int, run: int, rate: int) -> None:
        """One request fewer would not be enough, and one day fewer too soon."""
        counts = UsageCounts(answered_requests=answered, saved_instruction_tokens=saved)
        found = dataclasses.replace(
            _served(counts, rate), labels=[], jobs=[dataclasses.replace(JOB, cost=Fraction(run, 10**6))]
        )
        each, cost, even = Fraction(saved, answered) * Fraction("0.05") / 10**6, Fraction(run, 10**6), found.break_even

        assert even.request_count is not None
        assert even.day_count is not None
        assert (even.request_count - 1) * each < cost <= even.request_count * each
        assert (even.day_count - 1) * rate < max(1, even.request_count - answered) <= max(1, even.day_count * rate)

    def test_counts_on_from_the_first_request_whatever_the_period(self) -> None:
        """The average is of the period; the costs are of all time, and so is what has paid for them already."""
        week = _with(traffic=dataclasses.replace(BALANCE.traffic, answered_ever=19_000)).break_even
        paid = _with(traffic=dataclasses.replace(BALANCE.traffic, answered_ever=19_196)).break_even

        assert (week.request_count, week.day_count) == (19_196, 1)
        assert (paid.request_count, paid.day_count) == (19_196, 0)

    def test_that_was_reached_has_no_days_left(self) -> None:
        """Nor a date: it is past."""
        even = dataclasses.replace(BALANCE, jobs=[], labels=[]).break_even

        assert (even.request_count, even.day_count, even.time) == (0, 0, None)

    def test_is_absent_where_a_request_saves_nothing(self) -> None:
        """Also where the adapter writes so much more that it costs."""
        lossy = _served(dataclasses.replace(COUNTS, saved_instruction_tokens=0, saved_output_millitokens=-1))

        assert (lossy.break_even.request_count, lossy.break_even.unknown_reason) == (None, "a request saves nothing")
        assert lossy.break_even.days_unknown_reason == "a request saves nothing"

    def test_is_absent_without_requests(self) -> None:
        """Nothing is known of what one saves."""
        assert _served(UsageCounts()).break_even.unknown_reason == "no request was answered"

    def test_has_no_days_without_traffic_of_late(self) -> None:
        """The requests are told all the same."""
        even = _served(COUNTS, None).break_even

        assert (even.request_count, even.day_count) == (19_196, None)
        assert "last 7 full days" in even.days_unknown_reason

    def test_after_the_year_9999_has_no_date(self) -> None:
        """The days are told all the same."""
        even = dataclasses.replace(BALANCE, jobs=[dataclasses.replace(JOB, cost=Fraction(10**6))]).break_even

        assert even.time is None
        assert (even.day_count or 0) > 3_000_000


class TestFormula:
    """The lines that a person checks."""

    def test_hold_every_number(self) -> None:
        """Word for word."""
        assert "\n".join(formula(BALANCE, "EUR")) == _WRITTEN_OUT

    @given(
        tokens=st.tuples(*[numbers] * 5), milli=st.integers(-(10**13), 10**13), tariff=st.tuples(*[prices] * 3),
        share=st.integers(0, 100), run=st.integers(1, 10**12), hours=st.integers(1, 168), late=st.integers(1, 10**6),
    )  # fmt: skip
    def test_say_what_their_own_numbers_give(
        self, tokens: tuple[int, ...], milli: int, tariff: tuple[Fraction, ...], share: int, run: int, hours: int,
        late: int,
    ) -> None:  # fmt: skip
        """What stands between two equals signs, worked out from its text alone, is what stands behind them."""
        prompt, cached, output, saved, ever = tokens
        counts = UsageCounts(
            answered_requests=ever // 3 + 1, prompt_tokens=prompt + cached, cached_prompt_tokens=cached,
            output_tokens=output, saved_instruction_tokens=saved, saved_output_millitokens=milli,
        )  # fmt: skip
        job = dataclasses.replace(JOB, run_microseconds=run, cost=run_cost(run, Fraction("0.9")))
        traffic = Traffic(counts, NOW, NOW, Fraction(late * 24, hours), ever)
        lines = formula(_with(traffic=traffic, prices=TokenPrices(*tariff, share), jobs=[job]), "EUR")

        sums = [line.split(" = ") for line in lines if line.count(" = ") == 2 and " = sum of " not in line]
        assert len(sums) >= 8
        for _, left, right in sums:
            result = re.match(r"-?[\d,.]*\d", right)
            assert result is not None
            assert _number(result[0]) == _worked_out(left, is_rounded_up=right.endswith("rounded up"))

    def test_say_the_day_that_the_rate_shown_gives(self) -> None:
        """24 requests at one in 7 hours: 3.428571 a day, as shown, are not quite enough for 7 days."""
        counts = UsageCounts(answered_requests=1, saved_instruction_tokens=10**6)
        found = _with(
            traffic=Traffic(counts, NOW, NOW, Fraction(24, 7), 1), prices=PRICES, labels=[],
            jobs=[dataclasses.replace(JOB, cost=Fraction("1.25"))],
        )  # fmt: skip

        expected = "break-even in days = (25 - 1) / 3.428571 requests a day = 8, rounded up"
        assert formula(found, "EUR")[-1] == expected

    def test_say_what_is_not_known(self) -> None:
        """No line pretends a price."""
        lines = formula(_with(prices=TokenPrices(), jobs=[dataclasses.replace(JOB, cost=None)], hour_price=None), "EUR")

        assert "x (no price) / 1,000,000 = not known" in lines[2]
        assert lines[-1] == "break-even: none, since what the adapter cost is not known"

    def test_stay_readable_with_many_jobs(self) -> None:
        """The older ones are one line; the sum is of all."""
        jobs = [dataclasses.replace(JOB, job=f"j{number}") for number in range(MAX_LINES + 5)]
        lines = formula(_with(jobs=jobs), "EUR")

        assert "training, 5 older jobs = 2.25 EUR" in lines
        assert f"training cost = sum of {MAX_LINES + 5} jobs = 47.25 EUR" in lines


def _number(text: str) -> Fraction:
    return Fraction(Decimal(text.replace(",", "")))


def _worked_out(expression: str, *, is_rounded_up: bool) -> Fraction:
    """The value of a formula's text, whose words mean nothing; to 6 digits where it divides by the hour's seconds."""
    plain = expression.replace(",", "").replace(" x ", " * ").replace("%", "/ 100")
    exact = re.sub(r"[\d.]+", r"Fraction('\g<0>')", re.sub(r"[A-Za-z]", "", plain))
    value: Fraction = eval(exact)  # numbers and operators
    return Fraction(math.ceil(value)) if is_rounded_up else rounded(value) if "/ 3600 " in plain else value
