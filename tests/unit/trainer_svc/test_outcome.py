"""What becomes of a job whose worker is gone, and how long it has run."""

from __future__ import annotations

import dataclasses

import pytest

from shared.testing import ManualClock
from trainer_svc.domain.job import DEADLINE_EXCEEDED, WORKER_KILLED, Job, JobSpec, JobState
from trainer_svc.domain.outcome import after_death, after_restart

START = ManualClock().now()
JOB = Job(
    "tenants/acme/jobs/j", "tenants/acme/datasets/d", "tenants/acme/adapters/a", "live", JobSpec(), START,
    state=JobState.QUEUED, run_time_limit_seconds=100.0,
)  # fmt: skip


class TestDeath:
    """A worker that stopped or was killed."""

    @pytest.mark.parametrize(
        ("state", "after"),
        [
            (JobState.VALIDATING, JobState.PENDING),
            (JobState.RUNNING, JobState.QUEUED),
            (JobState.EVALUATING, JobState.QUEUED),
            (JobState.PAUSING, JobState.PAUSED),
            (JobState.CANCELLING, JobState.CANCELLED),
        ],
    )
    def test_leads_to_what_was_asked_for_or_to_another_try(self, state: JobState, after: JobState) -> None:
        """After the death of the service likewise."""
        job = dataclasses.replace(JOB, state=state)

        assert after_death(job, -9, START).state is after
        assert after_restart(job, START).state is after

    @pytest.mark.parametrize("state", [JobState.VALIDATING, JobState.RUNNING, JobState.EVALUATING])
    def test_three_times_without_progress_ends_the_job(self, state: JobState) -> None:
        """The service's own death is not counted."""
        job = dataclasses.replace(JOB, state=state, stalled_attempts=2)

        killed = after_death(job, -9, START)

        assert killed.state is JobState.FAILED
        assert killed.failure is not None
        assert (killed.failure.reason, killed.failure.user_error) == (WORKER_KILLED, False)
        assert after_restart(job, START).state is not JobState.FAILED


class TestRunTime:
    """The time that `run_time_limit` limits."""

    def test_is_that_of_workers_summed_over_attempts(self) -> None:
        """Neither the queue nor a pause counts; evaluating does."""
        clock = ManualClock()
        job = JOB.move(JobState.RUNNING, clock.now())
        clock.advance(30)
        job = job.move(JobState.EVALUATING, clock.now())
        clock.advance(10)
        job = job.move(JobState.PAUSING, clock.now())
        clock.advance(2)
        job = job.move(JobState.PAUSED, clock.now())
        clock.advance(5_000)
        job = job.move(JobState.QUEUED, clock.now())
        clock.advance(5_000)
        job = job.move(JobState.RUNNING, clock.now())
        clock.advance(7)

        assert job.run_time(clock.now()) == 49.0
        assert job.move(JobState.SUCCEEDED, clock.now()).run_seconds == 49.0

    def test_of_a_validation_is_none(self) -> None:
        """Proving is not training, even when it is cancelled."""
        clock = ManualClock()
        job = dataclasses.replace(JOB, state=JobState.PENDING).move(JobState.VALIDATING, clock.now())
        clock.advance(30)
        job = job.move(JobState.CANCELLING, clock.now())
        clock.advance(30)

        assert job.move(JobState.CANCELLED, clock.now()).run_seconds == 0.0

    def test_survives_the_service(self) -> None:
        """What was noted counts; the time in which nobody worked does not."""
        clock = ManualClock()
        job = JOB.move(JobState.RUNNING, clock.now())
        clock.advance(60)
        job = job.timed(clock.now())
        clock.advance(86_400)
        job = after_restart(job, clock.now()).move(JobState.RUNNING, clock.now())
        clock.advance(39)

        assert not job.is_out_of_time(clock.now())
        clock.advance(1)
        assert job.is_out_of_time(clock.now())

    def test_does_not_shrink_with_the_clock(self) -> None:
        """A clock that was set back adds nothing and takes nothing."""
        clock = ManualClock()
        job = JOB.move(JobState.RUNNING, clock.now())
        clock.advance(50)
        job = job.timed(clock.now())
        clock.advance(-3_600)

        assert job.run_time(clock.now()) == 50.0
        assert job.timed(clock.now()).run_seconds == 50.0

    def test_that_is_used_up_ends_the_job(self) -> None:
        """The failure names the limit and how far it came, and is the tenant's."""
        clock = ManualClock()
        job = JOB.move(JobState.RUNNING, clock.now())
        clock.advance(100)

        ended = after_death(job, 5, clock.now())

        assert ended.state is JobState.FAILED
        assert ended.failure is not None
        assert (ended.failure.reason, ended.failure.user_error) == (DEADLINE_EXCEEDED, True)
        assert "100 s" in ended.failure.message

    def test_has_no_end_without_a_limit(self) -> None:
        """The default."""
        clock = ManualClock()
        job = dataclasses.replace(JOB, run_time_limit_seconds=None).move(JobState.RUNNING, clock.now())
        clock.advance(1e6)

        assert not job.is_out_of_time(clock.now())
