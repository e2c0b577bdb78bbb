"""Whether two models differ by more than chance on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import binomtest

from trainer_svc.domain.comparison import Comparison, MetricName, Verdict
from trainer_svc.domain.measure import Measure
from trainer_svc.domain.row_score import RowScore
from trainer_svc.evaluation.interval import (
    SEED,
    Numbers,
    Statistic,
    bootstrap,
    bootstrap_difference,
    paired_rate_difference,
)
from trainer_svc.evaluation.summary import f1, leaf_columns, only, task_columns, task_statistic

_LEVEL = 0.05
_PERMUTATIONS = 10_000
_DEALS = 2_000
"""Fewer, since each shuffles all rows."""
_CHUNK_CELLS = 4_000_000
"""Rows times permutations that are drawn at a time."""
_ROUNDING = 1e-12
"""Differences that are equal but for the order of their sums."""

_YES_OR_NO: dict[MetricName, Callable[[RowScore], bool | None]] = {
    MetricName.SCHEMA_VALID: lambda row: row.is_valid,
    MetricName.EXACT_MATCH: lambda row: row.is_exact,
    MetricName.PARSE_RATE: lambda row: row.is_parsed,
    MetricName.EXECUTION_MATCH: lambda row: row.executes_alike,
    MetricName.FILLER_RATE: lambda row: row.has_filler,
    MetricName.OWN_STOP_RATE: lambda row: row.ended,
}


def compare(rows: Sequence[RowScore], others: Sequence[RowScore], metric: MetricName) -> Comparison:
    """Rows against others of the same golden outputs in the same order, both with the metric.

    Rates have McNemar's exact test and Newcombe's interval; F1, ROUGE-L and a task metric made of them a paired
    bootstrap and a permutation test that swaps what a row has between the two.
    """
    assert len(rows) == len(others), "a paired comparison needs the same rows"
    if not rows:
        return Comparison(metric, 0.0, -1.0, 1.0, 1.0, 0, Verdict.UNDECIDED)
    if metric is MetricName.TASK_METRIC:
        difference, p_value = _compare_task(rows, others)
    elif metric in _YES_OR_NO:
        difference, p_value = _compare_rates(rows, others, metric)
    elif metric is MetricName.FIELD_F1:
        difference, p_value = _compare_means(leaf_columns(rows), leaf_columns(others), f1)
    else:
        first, other = (np.array([[row.rouge_l] for row in side], dtype=np.float64) for side in (rows, others))
        difference, p_value = _compare_means(first, other, only)
    return Comparison(
        metric, difference.value, difference.low, difference.high, p_value, len(rows),
        _verdict(difference, p_value, fewer_is_better=metric is MetricName.FILLER_RATE),
    )  # fmt: skip


def compare_all(rows: Sequence[RowScore], others: Sequence[RowScore]) -> tuple[Comparison, ...]:
    """`compare` in every metric that the rows have; empty without rows."""
    if not rows:
        return ()
    left_out = {MetricName.ROUGE_L} if rows[0].rouge_l is None else set()
    left_out |= {metric for metric, hit in _YES_OR_NO.items() if hit(rows[0]) is None}
    return tuple(compare(rows, others, metric) for metric in MetricName if metric not in left_out)


def contrast(rows: Sequence[RowScore], others: Sequence[RowScore]) -> Comparison:
    """The task metric of rows against that of other golden outputs: nothing is paired.

    Both sides are resampled by themselves; the permutation test deals all rows out anew. `row_count` is that of `rows`.
    """
    metric = MetricName.TASK_METRIC
    if not rows or not others:
        return Comparison(metric, 0.0, -1.0, 1.0, 1.0, len(rows), Verdict.UNDECIDED)
    statistic = task_statistic(rows[0])
    first, other = task_columns(rows), task_columns(others)
    difference = bootstrap_difference(first, other, statistic)
    p_value = _dealing_p(first, other, statistic, difference.value)
    verdict = _verdict(difference, p_value, fewer_is_better=False)
    return Comparison(metric, difference.value, difference.low, difference.high, p_value, len(rows), verdict)


def _verdict(difference: Measure, p_value: float, *, fewer_is_better: bool) -> Verdict:
    if p_value >= _LEVEL or difference.low <= 0 <= difference.high:
        return Verdict.UNDECIDED
    return Verdict.BETTER if (difference.value < 0) is fewer_is_better else Verdict.WORSE


def _compare_task(rows: Sequence[RowScore], others: Sequence[RowScore]) -> tuple[Measure, float]:
    if rows[0].executes_alike is not None:
        return _compare_rates(rows, others, MetricName.EXECUTION_MATCH)
    return _compare_means(task_columns(rows), task_columns(others), task_statistic(rows[0]))


def _compare_rates(rows: Sequence[RowScore], others: Sequence[RowScore], metric: MetricName) -> tuple[Measure, float]:
    """McNemar 1947: of rows on which the two differ, each is as likely to speak for the one as for the other."""
    pairs = [(_YES_OR_NO[metric](row), _YES_OR_NO[metric](other)) for row, other in zip(rows, others, strict=True)]
    assert all(hit is not None for pair in pairs for hit in pair), f"rows without {metric}"
    only_first, only_other, both, neither = (
        pairs.count(kind) for kind in ((True, False), (False, True), (True, True), (False, False))
    )
    discordant = only_first + only_other
    p_value = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
    return paired_rate_difference(only_first, only_other, both, neither), p_value


def _compare_means(first: Numbers, other: Numbers, statistic: Statistic) -> tuple[Measure, float]:
    """Of a statistic of means, each side's of shape (rows, columns)."""
    width = first.shape[1]

    def difference(means: Numbers) -> Numbers:
        return statistic(means[..., :width]) - statistic(means[..., width:])

    measured = bootstrap(np.hstack([first, other]), difference)
    return measured, _permutation_p(first, other, statistic, measured.value)


def _permutation_p(first: Numbers, other: Numbers, statistic: Statistic, observed: float) -> float:
    """Share of random swaps that differ at least as much, the rows as they are counted in (Phipson and Smyth 2010)."""
    count = len(first)
    generator = np.random.default_rng(SEED)
    total, moved = (first + other).mean(axis=0), (other - first) / count
    extreme = 0
    step = max(1, _CHUNK_CELLS // count)
    for begin in range(0, _PERMUTATIONS, step):
        swaps = generator.random((min(step, _PERMUTATIONS - begin), count)) < 0.5
        means = first.mean(axis=0) + swaps.astype(np.float64) @ moved
        found = np.abs(statistic(means) - statistic(total - means))
        extreme += int(np.count_nonzero(found >= abs(observed) - _ROUNDING))
    return (1 + extreme) / (1 + _PERMUTATIONS)


def _dealing_p(first: Numbers, other: Numbers, statistic: Statistic, observed: float) -> float:
    """Share of random deals of all rows to two sides of the same sizes that differ at least as much."""
    pool, count = np.concatenate([first, other]), len(first)
    total = pool.sum(axis=0)
    generator = np.random.default_rng(SEED)
    extreme = 0
    for _ in range(_DEALS):
        dealt = pool[generator.permutation(len(pool))[:count]].sum(axis=0)
        found = abs(float(statistic(dealt / count) - statistic((total - dealt) / len(other))))
        extreme += found >= abs(observed) - _ROUNDING
    return (1 + extreme) / (1 + _DEALS)
