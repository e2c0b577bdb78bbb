"""What a caller may ask of a job, in every state it can be in."""

from __future__ import annotations

import dataclasses

import pytest

from shared.errors import StateConflict
from shared.testing import ManualClock
from trainer_svc.domain import wish
from trainer_svc.domain.job import FINAL, Job, JobSpec, JobState
from trainer_svc.domain.run import Phase

NOW = ManualClock().now()
JOB = Job("tenants/acme/jobs/j", "tenants/acme/datasets/d", "tenants/acme/adapters/a", "live", JobSpec(), NOW)
AFTER_CANCEL = {
    JobState.PENDING: JobState.CANCELLED,
    JobState.VALIDATING: JobState.CANCELLING,
    JobState.QUEUED: JobState.CANCELLED,
    JobState.RUNNING: JobState.CANCELLING,
    JobState.EVALUATING: JobState.CANCELLING,
    JobState.PAUSING: JobState.CANCELLING,
    JobState.PAUSED: JobState.CANCELLED,
}
AFTER_PAUSE = {
    JobState.QUEUED: JobState.PAUSED,
    JobState.RUNNING: JobState.PAUSING,
    JobState.EVALUATING: JobState.PAUSING,
    JobState.PAUSING: JobState.PAUSING,
    JobState.PAUSED: JobState.PAUSED,
}
AFTER_RESUME = {
    JobState.PENDING: JobState.PENDING,
    JobState.VALIDATING: JobState.VALIDATING,
    JobState.QUEUED: JobState.QUEUED,
    JobState.RUNNING: JobState.RUNNING,
    JobState.EVALUATING: JobState.EVALUATING,
    JobState.PAUSED: JobState.QUEUED,
}


def _in(state: JobState, phase: Phase | None = None) -> Job:
    return dataclasses.replace(JOB, state=state, phase=phase)


class TestCancel:
    """CancelTrainingJob."""

    @pytest.mark.parametrize("state", list(JobState))
    def test_is_done_at_once_without_a_worker_and_asked_for_with_one(self, state: JobState) -> None:
        """Whoever is final or being cancelled stays as it is, unwritten."""
        job = _in(state)

        after = wish.cancelled(job, NOW)

        assert after.state is AFTER_CANCEL.get(state, state)
        assert (after is job) == (state in FINAL or state is JobState.CANCELLING)


class TestPause:
    """PauseTrainingJob."""

    @pytest.mark.parametrize("state", list(JobState))
    def test_is_for_jobs_that_are_queued_or_have_a_worker(self, state: JobState) -> None:
        """Twice is once; the others are refused with their state."""
        if state in AFTER_PAUSE:
            assert wish.paused(_in(state), NOW).state is AFTER_PAUSE[state]
            return

        with pytest.raises(StateConflict) as caught:
            wish.paused(_in(state), NOW)

        assert caught.value.metadata == {"state": state.value}

    def test_is_refused_while_publishing(self) -> None:
        """The error names the phase: what is nearly done is not thrown away."""
        with pytest.raises(StateConflict, match="PUBLISHING"):
            wish.paused(_in(JobState.EVALUATING, Phase.PUBLISHING), NOW)


class TestResume:
    """ResumeTrainingJob."""

    @pytest.mark.parametrize("state", list(JobState))
    def test_queues_what_is_paused(self, state: JobState) -> None:
        """A job that goes on anyway is answered as it is; one that stops or has stopped is refused with its state."""
        if state in AFTER_RESUME:
            assert wish.resumed(_in(state), NOW).state is AFTER_RESUME[state]
            return

        with pytest.raises(StateConflict) as caught:
            wish.resumed(_in(state), NOW)

        assert caught.value.metadata == {"state": state.value}
