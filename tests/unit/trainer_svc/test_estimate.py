"""Time and memory of a job, told from what earlier runs took."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from tests.unit.trainer_svc.usage_sample import GIB, RUN, WORK, measured, run_with
from trainer_svc.domain.estimate import Calibration, estimate


class TestTime:
    """Seconds of a run."""

    def test_is_told_of_another_job_than_was_measured(self) -> None:
        """80 steps of a tenth, 200,000 tokens of 2 ms, 100 losses of a tenth, 2,000 answer tokens of 20 ms."""
        found = estimate(WORK, 16, [measured()])

        assert found.seconds == pytest.approx(10 + (80 * 0.1 + 200_000 * 0.002) + (3 + 100 * 0.1 + 2_000 * 0.02))

    def test_counts_a_load_of_the_base_for_each_validation(self) -> None:
        """Four and an evaluation took 15 s beside answers and loss: 3 s each, as often as the job has any."""
        run = measured(evaluation_seconds=15.0 + 20.0 + 5.0, validation_count=4)
        validating = dataclasses.replace(WORK, validation_count=10)

        assert estimate(WORK, 16, [run]).seconds == pytest.approx(63 + 408)
        assert estimate(validating, 16, [run]).seconds == pytest.approx(63 + 408 + 10 * 3)
        assert estimate(WORK, 16, [run, run]).past_error_ratio == pytest.approx(0)

    def test_counts_the_proof_that_it_serves_once(self) -> None:
        """However often the job validates, and however many rows it answers."""
        plain = measured(validation_count=4)
        proved = measured(validation_count=4, evaluation_seconds=28.0 + 25.0, proving_seconds=25.0)
        validating = dataclasses.replace(WORK, validation_count=10)

        seconds = [estimate(validating, 16, [run]).seconds for run in (plain, proved)]

        assert seconds[1] - seconds[0] == pytest.approx(25.0)

    def test_holds_what_a_run_took_beside_its_steps(self) -> None:
        """Checkpoints, and a first step that warms up, come again in proportion."""
        run = measured()

        slow = dataclasses.replace(run, training_seconds=run.training_seconds * 1.5)

        assert estimate(WORK, 16, [slow]).seconds == pytest.approx(63 + 408 * 1.5)

    def test_takes_runs_that_tell_their_steps_over_those_that_do_not(self) -> None:
        """Those of a single step stand in where there are no others."""
        found = estimate(WORK, 16, [RUN, measured(), RUN])

        assert (found.run_count, found.seconds) == (1, pytest.approx(63 + 408))

    def test_past_errors_are_of_whole_runs(self) -> None:
        """A calibration is no run that an estimate could have missed."""
        made = measured(calibration=Calibration("key", datetime.now(UTC)))

        assert estimate(WORK, 16, [made, made]).past_error_ratio is None
        assert estimate(WORK, 16, [made, measured()]).past_error_ratio == pytest.approx(0)

    def test_is_start_and_tokens_and_answers(self) -> None:
        """10 s to start, a millisecond a token, a second for each held-out row."""
        found = estimate(WORK, 16, [RUN])

        assert found.seconds == 10 + 200 + 100
        assert (found.low_seconds, found.high_seconds) == pytest.approx((310 * 0.8, 310 * 1.2))
        assert (found.run_count, found.past_error_ratio) == (1, None)

    def test_lies_between_the_best_and_the_worst_run(self) -> None:
        """The middle is the median, so that one slow day does not move it."""
        paces = [100.0, 105.0, 110.0, 120.0, 400.0]

        found = estimate(WORK, 16, [run_with(training_seconds=pace) for pace in paces])

        assert found.seconds == 10 + 2 * 110 + 100
        assert found.low_seconds == pytest.approx(0.8 * 330)
        assert found.high_seconds == 10 + 2 * 400 + 100

    def test_rests_on_runs_of_the_same_rank_where_there_are_any(self) -> None:
        """Others stand in, and the answer says so."""
        runs = [run_with(rank=64, training_seconds=300.0), RUN]

        same, other = estimate(WORK, 16, runs), estimate(WORK, 8, runs)

        assert (same.seconds, same.run_count, same.is_same_rank) == (310, 1, True)
        assert (other.seconds, other.run_count, other.is_same_rank) == (10 + 2 * 200 + 100, 2, False)

    def test_says_how_far_off_earlier_estimates_were(self) -> None:
        """Each run against the estimate from those before it: 160 s were told, 110, 320 and 160 it took."""
        runs = [RUN, run_with(training_seconds=50.0), run_with(training_seconds=260.0), RUN]

        found = estimate(WORK, 16, runs)

        # Medians before each: 100, 75, 100 s of training.
        errors = sorted([50 / 110, (320 - 135) / 320, 0.0])
        assert found.past_error_ratio == pytest.approx(errors[1])


class TestMemory:
    """Peak memory."""

    def test_is_that_of_the_smallest_run_with_batches_as_large(self) -> None:
        """Measured, not computed."""
        runs = [run_with(batch_tokens=8_000, peak_bytes=3 * GIB), run_with(batch_tokens=2_000, peak_bytes=2 * GIB), RUN]

        assert estimate(WORK, 16, runs).peak_bytes == GIB
        assert estimate(dataclasses.replace(WORK, batch_tokens=1_001), 16, runs).peak_bytes == 2 * GIB

    def test_grows_with_the_batch_beyond_what_was_measured(self) -> None:
        """In proportion: rather too much than too little."""
        assert estimate(dataclasses.replace(WORK, batch_tokens=3_000), 16, [RUN]).peak_bytes == 3 * GIB

    def test_of_a_job_that_validates_is_that_of_runs_that_did(self) -> None:
        """A second base is held then; without such a run it is added, at twice its size on disk while it is loaded."""
        validating = dataclasses.replace(WORK, validation_count=10, base_bytes=GIB)
        did = run_with(peak_bytes=2 * GIB, validation_count=4)

        assert estimate(validating, 16, [RUN, did]).peak_bytes == 2 * GIB
        assert estimate(WORK, 16, [did, RUN]).peak_bytes == GIB
        assert estimate(validating, 16, [RUN]).peak_bytes == (1 + 2) * GIB
        assert estimate(WORK, 16, [did]).peak_bytes == 2 * GIB, "rather too much than too little"

    @pytest.mark.parametrize(("available", "fits"), [(GIB, True), (GIB - 1, False), (None, None)])
    def test_fits_where_so_much_is_free(self, available: int | None, fits: bool | None) -> None:
        """Nothing is said where nobody knows what is free."""
        found = dataclasses.replace(estimate(WORK, 16, [RUN]), available_bytes=available)

        assert found.fits is fits
