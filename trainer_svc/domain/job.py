"""A training job and the moves it may make."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass, field
from datetime import datetime

from shared.errors import StateConflict
from trainer_svc.domain.promotion import PromotionReport
from trainer_svc.domain.run import (
    Initialization,
    Phase,
    Preset,
    TrainingMode,
)
from trainer_svc.domain.run_result import Evaluation

MAX_STALLED_ATTEMPTS = 3
"""Attempts that die without a new checkpoint before the job is given up: the cause is not chance then."""
MAX_VALIDATION_SECONDS = 300.0
"""Of one try. It tokenizes rows that passed their check and compiles their contract, which takes seconds; the
validations of all tenants wait for it, so one that hangs must end."""

WORKER_KILLED = "WORKER_KILLED"
"""Reason of the failure of a job that was given up so."""
DATASET_FAILED = "DATASET_FAILED"
"""The check of the dataset, for which the job waited, refused it."""
DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
"""The job used up its `run_time_limit`."""
DISK_FULL = "DISK_FULL"
OUT_OF_MEMORY = "OUT_OF_MEMORY"
JOB_REASONS = frozenset({WORKER_KILLED, DATASET_FAILED, DEADLINE_EXCEEDED, DISK_FULL, OUT_OF_MEMORY})
"""Reasons of failed jobs that no call is answered with; the others are those of errors."""


class JobState(enum.StrEnum):
    """Life of a job; the comments of the contract's enum say what each means."""

    PENDING = "pending"
    VALIDATING = "validating"
    QUEUED = "queued"
    RUNNING = "running"
    EVALUATING = "evaluating"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


_S = JobState
MOVES: dict[JobState, frozenset[JobState]] = {
    _S.PENDING: frozenset({_S.VALIDATING, _S.FAILED, _S.CANCELLED}),
    _S.VALIDATING: frozenset({_S.QUEUED, _S.PENDING, _S.FAILED, _S.CANCELLING}),
    _S.QUEUED: frozenset({_S.RUNNING, _S.PAUSED, _S.CANCELLED}),
    _S.RUNNING: frozenset({_S.EVALUATING, _S.SUCCEEDED, _S.FAILED, _S.PAUSING, _S.CANCELLING, _S.QUEUED}),
    _S.EVALUATING: frozenset({_S.RUNNING, _S.SUCCEEDED, _S.FAILED, _S.PAUSING, _S.CANCELLING, _S.QUEUED}),
    _S.PAUSING: frozenset({_S.PAUSED, _S.CANCELLING, _S.SUCCEEDED, _S.FAILED}),
    _S.PAUSED: frozenset({_S.QUEUED, _S.CANCELLED}),
    _S.CANCELLING: frozenset({_S.CANCELLED, _S.SUCCEEDED, _S.FAILED}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
}
FINAL = frozenset(state for state, moves in MOVES.items() if not moves)
WORKING = frozenset({_S.RUNNING, _S.EVALUATING, _S.PAUSING, _S.CANCELLING})
"""A worker process may be at it; CANCELLING may also be one that was being validated."""
WAITING = frozenset({_S.PENDING, _S.VALIDATING, _S.QUEUED})
"""What the bound on the waiting jobs of all tenants counts."""
HELD = WAITING | {_S.PAUSED}
"""What the bound of one tenant counts: pauses have no end, so they take no other tenant's room."""


class Priority(enum.StrEnum):
    """Which of a tenant's queued jobs come first; see `trainer_svc.domain.job_queue`."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


@dataclass(frozen=True)
class JobSpec:
    """Settings of a job; None leaves the choice to the run's plan, which fills it in."""

    mode: TrainingMode = TrainingMode.LORA
    rank: int | None = None
    alpha: float | None = None
    learning_rate: float | None = None
    epoch_count: int | None = None
    batch_size: int | None = None
    seed: int = 0
    use_rslora: bool = False
    loraplus_ratio: float | None = None
    initialization: Initialization = Initialization.KAIMING
    preset: Preset = Preset.BALANCED
    early_stopping_patience: int | None = None
    """0: off."""
    evaluated_checkpoint_count: int | None = None
    """States of the adapter that are evaluated, the published one among them."""


@dataclass(frozen=True)
class Progress:
    """Numbers of the training loop."""

    step: int = 0
    step_count: int = 0
    train_loss: float = 0.0
    epoch: float = 0.0
    peak_memory_bytes: int = 0
    """Most memory that the worker held until now; 0 where an earlier release told the numbers."""
    validation_score: float | None = None
    """Of the latest validation; None before the first, and in a run without."""
    best_step: int | None = None
    """Step after which the validated adapter had the highest score so far."""


@dataclass(frozen=True)
class Failure:
    """Why a job failed; `user_error` tells the tenant's mistakes from ours."""

    reason: str
    message: str
    user_error: bool


@dataclass(frozen=True)
class Job:
    """A training job as it stands. Names are resource names as text."""

    name: str
    dataset: str
    adapter: str
    alias_id: str
    spec: JobSpec
    create_time: datetime
    state: JobState = JobState.PENDING
    priority: Priority = Priority.NORMAL
    run_time_limit_seconds: float | None = None
    """None: none. See `run_time`."""
    base_revision: str = ""
    """Revision whose weights it begins with; empty for fresh ones."""
    phase: Phase | None = None
    attempt: int = 0
    progress: Progress = field(default_factory=Progress)
    evaluation: Evaluation | None = None
    revision: str = ""
    evaluation_digest: str = ""
    """Of the blob with all that was measured; empty until it has succeeded, and in jobs of earlier releases."""
    evaluated_rows_digest: str = ""
    """Of the blob with the held-out rows and the answers to them."""
    ended_canary: str = ""
    """Revision that was the alias's canary until the job moved the alias; empty when none was on trial."""
    promotion: PromotionReport | None = None
    """On the published revision; None until then, and where it was for no alias."""
    failure: Failure | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    events_offset: int = 0
    """Bytes of the run's journal that are in the history already."""
    stalled_attempts: int = 0
    """Attempts that died since the last checkpoint."""
    is_resumed: bool = False
    """Whether its last way into the queue was out of a pause, and not the death of its worker."""
    queue_time: datetime | None = None
    """When it was queued; the death of its worker leaves it, a pause does not."""
    run_seconds: float = 0.0
    """Time that workers were at it, up to `worker_since`."""
    worker_since: datetime | None = None
    """From when on the time of the present worker is still to be added; None while none trains or evaluates."""

    def run_time(self, now: datetime) -> float:
        """Seconds that a worker trained or evaluated, summed over attempts; neither queues nor pauses count.

        A clock that was set back adds nothing.
        """
        if self.worker_since is None:
            return self.run_seconds
        return self.run_seconds + max(0.0, (now - self.worker_since).total_seconds())

    def is_out_of_time(self, now: datetime) -> bool:
        """Whether its `run_time_limit` is used up."""
        return self.run_time_limit_seconds is not None and self.run_time(now) >= self.run_time_limit_seconds

    def timed(self, now: datetime) -> Job:
        """The job with the time of its worker added up to now, so that the death of the service forgets none of it."""
        if self.worker_since is None:
            return self
        return dataclasses.replace(self, run_seconds=self.run_time(now), worker_since=now)

    def abandoned(self) -> Job:
        """The job after a service died with its worker: nobody worked since the time that was noted last."""
        return dataclasses.replace(self, worker_since=None)

    def move(self, state: JobState, now: datetime, **changes: object) -> Job:
        """The job in its next state.

        Raises:
            StateConflict: STATE_CONFLICT for a move outside the table.
        """
        if state not in MOVES[self.state]:
            raise StateConflict(
                "STATE_CONFLICT",
                f"{self.name} is {self.state}, it cannot become {state}",
                metadata={"state": self.state.value},
            )
        kept: dict[str, object] = {
            "phase": self.phase if state in WORKING else None,
            "run_seconds": self.run_time(now),
            "worker_since": now if self._has_worker_in(state) else None,
        }
        if state is JobState.QUEUED and self.state not in WORKING:
            kept["queue_time"] = now
        if state is JobState.QUEUED:
            kept["is_resumed"] = self.state is JobState.PAUSED
        end = now if state in FINAL else None
        return dataclasses.replace(self, **{**kept, **changes}, state=state, end_time=end)  # type: ignore[arg-type]  # fields by name

    def _has_worker_in(self, state: JobState) -> bool:
        begins = state is JobState.RUNNING and self.state is JobState.QUEUED
        return begins or (state in WORKING and self.worker_since is not None)


@dataclass(frozen=True)
class CheckpointScore:
    """How a state of the adapter answered held-out rows; `trainer_svc.domain.evaluation` has all that was measured."""

    step: int
    row_count: int
    task_metric: float
    exact_match: float
    holdout_loss: float


@dataclass(frozen=True)
class Event:
    """One entry of a job's history: exactly one of the four is set."""

    sequence: int
    time: datetime
    changed: Job | None = None
    progress: Progress | None = None
    checkpoint_step: int | None = None
    evaluated: CheckpointScore | None = None
