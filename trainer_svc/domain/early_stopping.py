"""Early stopping on the task metric: how many rows are set aside for it, when they are answered, when it is enough."""

from __future__ import annotations

import math
from collections.abc import Mapping

from shared.names import invalid_field

VALIDATIONS = 10
"""Of a run that is not stopped, evenly spread. 25 rows cost the shipped base the time of 4 to 8 steps (2026-11)."""
_RATIO = 0.1
_LEAST_ROWS, _MOST_ROWS = 16, 64
"""With fewer the metric is chance, more cost time: 64 are one batch of generation."""
_LEAST_TRAIN_ROWS = 64
"""Below, the rows set aside would be more than a quarter of them."""
_FIELD = "job.spec.early_stopping_patience"


def wanted_rows(row_count: int) -> int:
    """Rows to set aside of a train split: a tenth, at least 16 and at most 64; 0 where it has too few."""
    if row_count < _LEAST_TRAIN_ROWS:
        return 0
    return min(_MOST_ROWS, max(_LEAST_ROWS, round(row_count * _RATIO)))


def check_rows_set_aside(count: int, row_count: int, synthetic_count: int) -> None:
    """Refuses validation (`InvalidInput`) by `count` rows that could be set aside of a train split of `row_count`.

    Of these a teacher labelled `synthetic_count`, which are never set aside.
    """
    if count >= _LEAST_ROWS:
        return
    if row_count < _LEAST_TRAIN_ROWS:
        cause = f"needs {_LEAST_TRAIN_ROWS} rows to train on, the dataset has {row_count}"
    elif (golden := row_count - synthetic_count) < _LEAST_ROWS:
        cause = f"needs {_LEAST_ROWS} golden rows to set aside, the dataset has {golden} among {row_count} to train on"
    else:
        among = f"{golden} golden ones" if synthetic_count else str(row_count)
        cause = f"needs {_LEAST_ROWS} rows unlike the others, of {among} only {count} can be set aside"
    raise invalid_field(_FIELD, f"{cause}; set it to 0 or leave it out")


def is_enough(count: int) -> bool:
    """Whether that many rows set aside tell adapters apart."""
    return count >= _LEAST_ROWS


def validation_interval(step_count: int) -> int:
    """Steps between two validations; two at least: the first step has a learning rate of 0 and changes nothing."""
    return max(2, math.ceil(step_count / VALIDATIONS))


def validation_count(step_count: int) -> int:
    """Validations of a run that is not stopped; one comes after the last step, whatever the interval."""
    return math.ceil(step_count / validation_interval(step_count))


def best_step(scores: Mapping[int, float]) -> int:
    """Of the scores by step, in their order, the step with the highest; the earliest of equals."""
    return max(scores, key=lambda step: scores[step])


def is_over(scores: Mapping[int, float], patience: int) -> bool:
    """Whether as many validations as `patience` came after the best one."""
    steps = list(scores)
    return bool(steps) and len(steps) - 1 - steps.index(best_step(scores)) >= patience
