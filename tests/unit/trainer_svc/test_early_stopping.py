"""When a run is validated on the way, and when that is enough."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidInput
from trainer_svc.domain.early_stopping import (
    VALIDATIONS,
    best_step,
    check_rows_set_aside,
    is_over,
    validation_count,
    validation_interval,
    wanted_rows,
)

SCORES = {3: 0.25, 6: 0.5, 9: 0.5, 12: 0.375}


class TestRows:
    """Rows that are set aside."""

    @pytest.mark.parametrize(("count", "wanted"), [(63, 0), (64, 16), (160, 16), (300, 30), (640, 64), (20_000, 64)])
    def test_are_a_tenth_within_limits(self, count: int, wanted: int) -> None:
        """Never more than a quarter, and not so few that the metric is chance."""
        assert wanted_rows(count) == wanted

    def test_are_enough_or_refused(self) -> None:
        """The message says how many there are and what to do."""
        check_rows_set_aside(16, 64, 0)

        with pytest.raises(InvalidInput, match=r"64 rows to train on, the dataset has 63; set it to 0 or leave it out"):
            check_rows_set_aside(0, 63, 0)
        with pytest.raises(InvalidInput, match="of 500 only 15 can be set aside"):
            check_rows_set_aside(15, 500, 0)

    def test_are_golden(self) -> None:
        """Where a teacher labelled the others, the message blames no likeness, and counts golden rows only."""
        with pytest.raises(InvalidInput, match=r"needs 16 golden rows to set aside, the dataset has 12 among 100"):
            check_rows_set_aside(12, 100, 88)
        with pytest.raises(InvalidInput, match=r"of 40 golden ones only 15 can be set aside"):
            check_rows_set_aside(15, 100, 60)


class TestInterval:
    """Steps between validations."""

    @given(st.integers(1, 100_000))
    def test_validates_at_most_ten_times_evenly_and_at_the_end(self, steps: int) -> None:
        """The count is that of the steps that the interval divides, and of the last one."""
        interval = validation_interval(steps)

        due = {*range(interval, steps + 1, interval), steps}

        assert len(due) == validation_count(steps) <= VALIDATIONS
        assert interval > 1, "the first step is taken at a learning rate of 0"


class TestEnd:
    """When a run stops."""

    def test_the_best_is_the_earliest_of_equals(self) -> None:
        """More steps for the same answers are worth nothing."""
        assert best_step(SCORES) == 6

    @pytest.mark.parametrize(("patience", "over"), [(1, True), (2, True), (3, False)])
    def test_counts_validations_after_the_best(self, patience: int, over: bool) -> None:
        """An equal one is no better one."""
        assert is_over(SCORES, patience) is over

    def test_never_before_the_first_validation(self) -> None:
        """There is no best one yet."""
        assert not is_over({}, 1)
        assert not is_over({3: 0.0}, 1)
