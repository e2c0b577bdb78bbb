"""What a caller may ask of a job: cancel, pause, resume. A wish that is fulfilled already changes nothing."""

from __future__ import annotations

from datetime import datetime

from shared.errors import StateConflict
from trainer_svc.domain.job import FINAL, Job, JobState
from trainer_svc.domain.run import Phase

_AT_ONCE = frozenset({JobState.PENDING, JobState.QUEUED, JobState.PAUSED})
"""Without a worker, so that nobody has to stop first."""
_GOES_ON = frozenset(
    {JobState.PENDING, JobState.VALIDATING, JobState.QUEUED, JobState.RUNNING, JobState.EVALUATING}
)  # fmt: skip


def cancelled(job: Job, now: datetime) -> Job:
    """The job after a cancel; the same object when it is final or being cancelled."""
    if job.state in FINAL or job.state is JobState.CANCELLING:
        return job
    return job.move(JobState.CANCELLED if job.state in _AT_ONCE else JobState.CANCELLING, now)


def paused(job: Job, now: datetime) -> Job:
    """The job after a pause; the same object when it is paused or pausing.

    Raises:
        StateConflict: STATE_CONFLICT when it is not queued yet, is being published or cancelled, or is final.
    """
    if job.state in (JobState.PAUSING, JobState.PAUSED):
        return job
    if job.state is JobState.QUEUED:
        return job.move(JobState.PAUSED, now)
    if job.phase is Phase.PUBLISHING and job.state is JobState.EVALUATING:
        raise _refused(job, "paused: its adapter is being published, in phase PUBLISHING", "it is done in a moment")
    if job.state in (JobState.RUNNING, JobState.EVALUATING):
        return job.move(JobState.PAUSING, now)
    hint = "" if job.state in (*FINAL, JobState.CANCELLING) else "pause it once it is QUEUED, or cancel it"
    raise _refused(job, "paused", hint)


def resumed(job: Job, now: datetime) -> Job:
    """The job after it was asked to go on; the same object when it waits or runs.

    Raises:
        StateConflict: STATE_CONFLICT when its worker has not stopped yet, when it is being cancelled, or is final.
    """
    if job.state in _GOES_ON:
        return job
    if job.state is JobState.PAUSED:
        return job.move(JobState.QUEUED, now)
    raise _refused(job, "resumed", "resume it once it is PAUSED" if job.state is JobState.PAUSING else "")


def _refused(job: Job, verb: str, hint: str) -> StateConflict:
    return StateConflict(
        "STATE_CONFLICT",
        f"{job.name} is {job.state.name}, it cannot be {verb}",
        hint=hint,
        metadata={"state": job.state.value},
    )
