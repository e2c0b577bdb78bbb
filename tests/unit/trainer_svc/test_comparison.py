"""Intervals and paired tests, against numbers by hand."""

from __future__ import annotations

from dataclasses import replace
from math import comb, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer_svc.domain.comparison import MetricName, Verdict
from trainer_svc.domain.measure import Measure
from trainer_svc.domain.row_score import FieldCount, RowScore
from trainer_svc.evaluation.comparison import compare, compare_all, contrast
from trainer_svc.evaluation.interval import paired_rate_difference, rate
from trainer_svc.evaluation.summary import metrics_of
from trainer_svc.store.codec import dump, load


def _row(is_exact: bool = True, **fields: int) -> RowScore:
    count = FieldCount("/a", **fields) if fields else FieldCount("/a", matched=int(is_exact), omitted=1 - is_exact)
    return RowScore(True, is_exact, (count,), has_filler=not is_exact, ended=True, token_count=3)


RIGHT, WRONG = _row(True), _row(False)


class TestIntervals:
    """Of rates."""

    @given(st.integers(0, 60), st.integers(1, 60))
    def test_rates_have_wilsons(self, hits: int, count: int) -> None:
        """`(p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)`."""
        hits, z = min(hits, count), 1.959963984540054
        p = hits / count
        centre = (p + z * z / (2 * count)) / (1 + z * z / count)
        half = z * sqrt(p * (1 - p) / count + z * z / (4 * count**2)) / (1 + z * z / count)

        found = rate(hits, count)

        assert (found.value, found.low, found.high) == pytest.approx((p, centre - half, centre + half), abs=1e-9)

    def test_differences_have_newcombes(self) -> None:
        """His own example (1998, 36 rows alike, 12 and 2 not): 0.0569 to 0.3404."""
        found = paired_rate_difference(12, 2, 36, 0)

        assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0569, 0.3404), abs=1e-4)

    @pytest.mark.parametrize(
        ("counts", "low", "high"),
        [((12, 2, 20, 16), 0.0562, 0.3292), ((2, 12, 20, 16), -0.3292, -0.0562), ((20, 12, 2, 16), -0.0597, 0.3615)],
    )
    def test_positive_association_is_corrected(
        self, counts: tuple[int, int, int, int], low: float, high: float
    ) -> None:
        """`max(ad - bc - n/2, 0)` in phi's numerator where `ad > bc`, `ad - bc` as it is where not."""
        first, other, both, neither = counts
        n, surplus = sum(counts), both * neither - first * other
        p, q = rate(both + first, n), rate(both + other, n)
        phi = (max(surplus - n / 2, 0) if surplus > 0 else surplus) / sqrt(
            (both + first) * (other + neither) * (both + other) * (first + neither)
        )
        down, up = (p.value - p.low, q.high - q.value), (p.high - p.value, q.value - q.low)
        below, above = (sqrt(x * x - 2 * phi * x * y + y * y) for x, y in (down, up))

        found = paired_rate_difference(*counts)

        assert (found.low, found.high) == pytest.approx((p.value - q.value - below, p.value - q.value + above))
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)

    @given(st.tuples(*[st.integers(0, 30)] * 4).filter(any))
    def test_differences_are_symmetric(self, counts: tuple[int, int, int, int]) -> None:
        """Turned around they change their sign, and they stay within -1 and 1."""
        found = paired_rate_difference(*counts)
        turned = paired_rate_difference(counts[1], counts[0], *counts[2:])

        assert (turned.value, turned.low, turned.high) == pytest.approx((-found.value, -found.high, -found.low))
        assert -1 - 1e-9 <= found.low <= found.value <= found.high <= 1 + 1e-9


class TestMetrics:
    """Of a set of rows."""

    def test_of_nothing_are_unknown(self) -> None:
        """The widest interval, and no division."""
        metrics = metrics_of([])

        assert (metrics.row_count, metrics.exact_match, metrics.task_metric) == (
            0,
            Measure(0.0, 0.0, 1.0),
            Measure(0.0, 0.0, 1.0),
        )

    def test_sum_up_fates_and_fields(self) -> None:
        """The table has each path, and leaves out the rarest beyond 200."""
        many = replace(RIGHT, fields=tuple(FieldCount(f"/{n:03}", matched=1) for n in range(250)))
        common = replace(RIGHT, fields=tuple(FieldCount(f"/{n:03}", mismatched=1, invented=1) for n in range(100, 250)))

        metrics = metrics_of([many, common])

        assert (metrics.omitted, metrics.invented, metrics.mismatched) == (0, 150, 150)
        assert (len(metrics.fields), metrics.dropped_field_count) == (200, 50)
        assert [field.path for field in metrics.fields] == [f"/{n:03}" for n in (*range(50), *range(100, 250))]
        assert (metrics.fields[-1].precision, metrics.fields[-1].recall) == (1 / 3, 1 / 2)

    def test_the_task_metric_is_what_the_kind_is_about(self) -> None:
        """Execution match even where it is zero, ROUGE-L, else the mean of exact match and field F1."""
        executed = replace(RIGHT, executes_alike=False)
        text = replace(WRONG, rouge_l=0.25)

        assert metrics_of([executed]).task_metric.value == 0.0
        assert metrics_of([text]).task_metric.value == 0.25
        assert metrics_of([RIGHT, _row(False, matched=3, omitted=1)]).task_metric.value == (0.5 + 8 / 9) / 2

    def test_an_interval_holds_its_value_and_narrows_with_rows(self) -> None:
        """Four times the rows, half the width."""
        few, many = (metrics_of([RIGHT, _row(False, matched=1, mismatched=1)] * count).field_f1 for count in (10, 40))

        assert few.low < few.value < few.high
        assert (many.high - many.low) / (few.high - few.low) == pytest.approx(0.5, abs=0.1)

    @pytest.mark.parametrize("hits", [0, 1, 5])
    def test_few_rows_show_little(self, hits: int) -> None:
        """Rows that are all alike leave the bootstrap no width; a metric is no surer than a rate of as many rows."""
        metrics = metrics_of([replace(RIGHT, rouge_l=1.0)] * hits + [replace(WRONG, rouge_l=0.0)] * (5 - hits))
        floor = rate(hits, 5)

        for found in (metrics.field_recall, metrics.task_metric, metrics.rouge_l):
            assert found is not None
            assert (found.low <= floor.low, found.high >= floor.high) == (True, True)
        assert metrics.field_f1.high - metrics.field_f1.low > 0.4

    def test_survive_storage(self) -> None:
        """As JSON and back."""
        metrics = metrics_of([RIGHT, WRONG])
        comparison = compare([RIGHT], [WRONG], MetricName.EXACT_MATCH)

        assert load(type(metrics), dump(metrics)) == metrics
        assert load(type(comparison), dump(comparison)) == comparison
        assert load(RowScore, dump(RIGHT)) == RIGHT


class TestCompare:
    """The same rows by two models."""

    def test_rates_have_mcnemars_exact_test(self) -> None:
        """Eight rows speak for the first, one for the other: twice the tail of a fair coin."""
        rows = [RIGHT] * 8 + [WRONG] + [RIGHT] * 5
        others = [WRONG] * 8 + [RIGHT] + [RIGHT] * 5

        found = compare(rows, others, MetricName.EXACT_MATCH)

        assert found.p_value == pytest.approx(2 * (comb(9, 8) + 1) / 2**9)
        assert found.difference == pytest.approx(7 / 14)
        assert (found.verdict, found.row_count) == (Verdict.BETTER, 14)

    @pytest.mark.parametrize("metric", [MetricName.EXACT_MATCH, MetricName.FIELD_F1, MetricName.TASK_METRIC])
    @pytest.mark.parametrize(
        ("wins", "losses", "verdict"),
        [
            (20, 2, Verdict.BETTER),
            (2, 20, Verdict.WORSE),
            (3, 0, Verdict.UNDECIDED),
            (11, 9, Verdict.UNDECIDED),
            (0, 0, Verdict.UNDECIDED),
        ],
    )
    def test_says_better_only_beyond_chance(self, metric: MetricName, wins: int, losses: int, verdict: Verdict) -> None:
        """Three rows more of thirty say nothing."""
        rows = [RIGHT] * wins + [WRONG] * losses + [RIGHT] * 30
        others = [WRONG] * wins + [RIGHT] * losses + [RIGHT] * 30

        found = compare(rows, others, metric)

        assert found.verdict is verdict
        assert found.low <= found.difference <= found.high

    def test_fewer_fillers_are_better(self) -> None:
        """The one metric of which less is more."""
        assert compare([RIGHT] * 9, [WRONG] * 9, MetricName.FILLER_RATE).verdict is Verdict.BETTER

    def test_permutations_come_near_the_exact_test(self) -> None:
        """On one leaf a row a swap of counts is McNemar's coin, and the estimate is within its error."""
        rows, others = [RIGHT] * 7 + [WRONG], [WRONG] * 7 + [RIGHT]

        exact = compare(rows, others, MetricName.EXACT_MATCH).p_value
        drawn = compare(rows, others, MetricName.FIELD_F1).p_value

        assert drawn == pytest.approx(exact, abs=0.01)

    def test_is_the_same_in_every_run(self) -> None:
        """Its draws are seeded."""
        rows, others = [RIGHT, WRONG] * 10, [WRONG, WRONG, RIGHT, RIGHT] * 5

        assert compare_all(rows, others) == compare_all(rows, others)

    def test_rouge_is_compared_row_by_row(self) -> None:
        """A small gain on each row is more than chance."""
        rows = [replace(WRONG, rouge_l=0.5 + n / 100) for n in range(20)]
        others = [replace(WRONG, rouge_l=0.45 + n / 100) for n in range(20)]

        found = compare(rows, others, MetricName.ROUGE_L)

        assert found.difference == pytest.approx(0.05)
        assert (found.verdict, found.low) == (Verdict.BETTER, pytest.approx(0.05))

    def test_all_are_those_that_the_rows_have(self) -> None:
        """No execution match of JSON; nothing of no rows."""
        names = {comparison.metric for comparison in compare_all([RIGHT], [WRONG])}

        assert names == set(MetricName) - {MetricName.PARSE_RATE, MetricName.EXECUTION_MATCH, MetricName.ROUGE_L}
        assert compare_all([], []) == ()
        assert compare([], [], MetricName.EXACT_MATCH).verdict is Verdict.UNDECIDED


class TestContrast:
    """Other rows by one model."""

    @pytest.mark.parametrize(
        ("rows", "others", "verdict"),
        [
            ([RIGHT] * 20, [WRONG] * 30, Verdict.BETTER),
            ([WRONG] * 20, [RIGHT] * 30, Verdict.WORSE),
            ([RIGHT, WRONG] * 10, [RIGHT, WRONG] * 15, Verdict.UNDECIDED),
            ([], [RIGHT], Verdict.UNDECIDED),
        ],
    )
    def test_needs_no_pairs(self, rows: list[RowScore], others: list[RowScore], verdict: Verdict) -> None:
        """Numbers of rows may differ."""
        assert contrast(rows, others).verdict is verdict
