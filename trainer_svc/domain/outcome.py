"""What becomes of a job whose worker is gone and has neither finished nor failed."""

from __future__ import annotations

from datetime import datetime

from trainer_svc.domain.job import (
    DEADLINE_EXCEEDED,
    MAX_STALLED_ATTEMPTS,
    MAX_VALIDATION_SECONDS,
    WORKER_KILLED,
    Failure,
    Job,
    JobState,
)


def after_death(job: Job, status: int, now: datetime) -> Job:
    """The job after its worker stopped as it was asked to, or was killed (`status`: its exit status).

    What the caller asked for is done; else the job is tried again, unless its time is up or that goes nowhere.
    """
    if job.state is JobState.CANCELLING:
        return job.move(JobState.CANCELLED, now)
    if job.state is JobState.PAUSING:
        return job.move(JobState.PAUSED, now)
    if job.is_out_of_time(now):
        return job.move(JobState.FAILED, now, failure=_out_of_time(job))
    stalled = job.stalled_attempts + 1
    if stalled >= MAX_STALLED_ATTEMPTS:
        return job.move(JobState.FAILED, now, failure=_killed(job, stalled, status), stalled_attempts=stalled)
    return job.move(_start_of(job), now, stalled_attempts=stalled)


def after_restart(job: Job, now: datetime) -> Job:
    """The job after the service died, and its worker with it: nobody's failure, and nobody waits for it any more."""
    job = job.abandoned()
    if job.state is JobState.CANCELLING:
        return job.move(JobState.CANCELLED, now)
    return job.move(JobState.PAUSED if job.state is JobState.PAUSING else _start_of(job), now)


def _start_of(job: Job) -> JobState:
    """Where it waited for the worker that it had."""
    return JobState.PENDING if job.state is JobState.VALIDATING else JobState.QUEUED


def _out_of_time(job: Job) -> Failure:
    return Failure(
        DEADLINE_EXCEEDED,
        f"the job ran for its run_time_limit of {job.run_time_limit_seconds:g} s and reached step {job.progress.step}"
        f" of {job.progress.step_count}: raise the limit, or lower spec.epoch_count",
        user_error=True,
    )


def _killed(job: Job, count: int, status: int) -> Failure:
    why = "probably for want of memory"
    if job.state is JobState.VALIDATING:
        why += f", or because its validation took more than {MAX_VALIDATION_SECONDS:g} s"
    return Failure(
        WORKER_KILLED,
        f"the training process was killed {count} times without progress (status {status}), {why}",
        user_error=False,
    )
