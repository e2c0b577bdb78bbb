"""Whether one set of answers is better than another on the same rows."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class MetricName(enum.StrEnum):
    """What can be compared; named as in `Metrics`."""

    SCHEMA_VALID = "schema_valid"
    EXACT_MATCH = "exact_match"
    FIELD_F1 = "field_f1"
    PARSE_RATE = "parse_rate"
    EXECUTION_MATCH = "execution_match"
    ROUGE_L = "rouge_l"
    FILLER_RATE = "filler_rate"
    OWN_STOP_RATE = "own_stop_rate"
    TASK_METRIC = "task_metric"


class Verdict(enum.StrEnum):
    """What a comparison says."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "undecided"
    """The rows do not tell: the interval covers 0, or the test's p is 0.05 or more."""


@dataclass(frozen=True)
class Comparison:
    """A paired comparison of two models on the same rows."""

    metric: MetricName
    difference: float
    """The first one's value less the other's."""
    low: float
    """Of the 95 % interval of the difference."""
    high: float
    p_value: float
    """Of the paired test, two-sided."""
    row_count: int
    verdict: Verdict
    """On the first one. Of fillers fewer are better."""
