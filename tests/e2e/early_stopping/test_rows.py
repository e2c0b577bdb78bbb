"""Early stopping: which rows are set aside for validations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from shared.errors import InvalidInput
from tests.e2e.early_stopping.outcome import prepared
from tests.e2e.training_sample import events_of, rows
from trainer_svc.domain.run import Preset, RunFolder

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


class TestRows:
    """Which rows are set aside."""

    def test_near_duplicates_stay_on_one_side(self, write: Callable[..., RunFolder]) -> None:
        """Pairs that differ in case alone are learned or set aside together; the same seed draws the same rows."""
        pairs = [row for one in rows(90) for row in (one, dataclasses.replace(one, row=one.row + 500))]
        pairs = [dataclasses.replace(row, input=row.input.upper()) if row.row >= 500 else row for row in pairs]

        first, same, other = (
            {row.row for row in prepared(write(name, train=pairs, seed=seed)).validation}
            for name, seed in (("first", 0), ("same", 0), ("other", 1))
        )

        assert len(first) == 18
        assert {number % 500 for number in first if number >= 500} == {number for number in first if number < 500}
        assert first == same != other

    @pytest.mark.parametrize("count", [63, 200])
    def test_too_few_end_the_job_or_leave_its_preset_off(self, write: Callable[..., RunFolder], count: int) -> None:
        """A patience that the job sets is refused; that of a preset is told as 0. Many rows may be all alike."""
        train = rows(63) if count == 63 else [dataclasses.replace(row, input="Rome " + "x" * 40) for row in rows(count)]
        asked, preset = (
            write(name, train=train, preset=Preset.BEST, early_stopping_patience=patience)
            for name, patience in (("asked", 3), ("preset", None))
        )

        with pytest.raises(InvalidInput) as caught:
            prepared(asked)
        ready = prepared(preset)

        assert caught.value.violations[0].path == "job.spec.early_stopping_patience"
        assert str(count) in str(caught.value)
        assert (ready.validation, len(ready.examples)) == ([], count)
        assert events_of(preset, "settings")[-1]["early_stopping_patience"] == 0
