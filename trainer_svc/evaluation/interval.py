"""Intervals of 95 %, by formula for rates and by the bootstrap for other statistics."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from trainer_svc.domain.measure import Measure

Numbers = npt.NDArray[np.float64]
Statistic = Callable[[Numbers], Numbers]
"""From means of columns, shape (..., columns), to one value each, shape (...)."""

_Z = 1.959963984540054
"""The normal distribution's quantile for 95 %."""
SEED = 20_261_123
"""Of all draws: the same rows give the same interval."""
_RESAMPLES = 2_000
"""Enough that the ends of an interval move by a fiftieth of its width between seeds."""
_CHUNK_CELLS = 4_000_000
"""Rows times resamples that are drawn at a time, 32 MB."""


def rate(hits: int, count: int) -> Measure:
    """`hits / count` with Wilson's score interval (1927); of nothing 0, between 0 and 1."""
    return _wilson(hits / count, count) if count else Measure(0.0, 0.0, 1.0)


def at_least_of_rate(measure: Measure, count: int) -> Measure:
    """A measure of 0..1 over `count` rows, one or more, no surer than a rate of the same value would be.

    The bootstrap knows no rows but those it has, and gives a few that are all alike no width.
    """
    floor = _wilson(measure.value, count)
    return Measure(measure.value, min(measure.low, floor.low), max(measure.high, floor.high))


def _wilson(value: float, count: int) -> Measure:
    """`(p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)`, also of a p that is no whole number of rows."""
    square = _Z**2 / count
    centre, half = value + square / 2, math.sqrt(square * (value * (1 - value) + square / 4))
    low, high = ((centre + side) / (1 + square) for side in (-half, half))
    return Measure(value, max(min(low, value), 0.0), min(max(high, value), 1.0))


def bootstrap(columns: Numbers, statistic: Statistic) -> Measure:
    """A statistic of rows' means, shape (rows, columns), with the bootstrap's percentile interval (Efron 1979).

    Rows that are all alike leave it no width, however few they are.
    """
    value = float(statistic(columns.mean(axis=0)))
    low, high = np.quantile(statistic(_resampled_means(columns)), [0.025, 0.975])
    return Measure(value, min(float(low), value), max(float(high), value))


def bootstrap_difference(first: Numbers, other: Numbers, statistic: Statistic) -> Measure:
    """The difference of a statistic between rows and other ones, each resampled by itself."""
    value = float(statistic(first.mean(axis=0)) - statistic(other.mean(axis=0)))
    found = statistic(_resampled_means(first)) - statistic(_resampled_means(other, seed=SEED + 1))
    low, high = np.quantile(found, [0.025, 0.975])
    return Measure(value, min(float(low), value), max(float(high), value))


def _resampled_means(columns: Numbers, seed: int = SEED) -> Numbers:
    count = len(columns)
    generator = np.random.default_rng(seed)
    step = max(1, _CHUNK_CELLS // count)
    chunks = []
    for begin in range(0, _RESAMPLES, step):
        chosen = generator.integers(count, size=(min(step, _RESAMPLES - begin), count))
        chunks.append(np.stack([column[chosen].mean(axis=1) for column in columns.T], axis=-1))
    return np.concatenate(chunks)


def paired_rate_difference(only_first: int, only_other: int, both: int, neither: int) -> Measure:
    """The difference of two rates on the same rows: Newcombe's hybrid score interval (1998, method 10).

    Its association phi has his correction for continuity where it is positive: without it the interval is too narrow.
    """
    count = only_first + only_other + both + neither
    first, other = rate(both + only_first, count), rate(both + only_other, count)
    margins = (both + only_first) * (only_other + neither) * (both + only_other) * (only_first + neither)
    surplus = both * neither - only_first * only_other
    corrected = max(surplus - count / 2, 0.0) if surplus > 0 else surplus
    association = corrected / math.sqrt(margins) if margins else 0.0

    def distance(left: float, right: float) -> float:
        return math.sqrt(max(left**2 - 2 * association * left * right + right**2, 0.0))

    difference = (only_first - only_other) / count
    low = difference - distance(first.value - first.low, other.high - other.value)
    high = difference + distance(first.high - first.value, other.value - other.low)
    return Measure(difference, low, high)
