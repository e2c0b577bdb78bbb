"""A training job and the moves it may make."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass, field
from datetime import datetime

from shared.errors import StateConflict
from trainer_svc.domain.run import Evaluation, Initialization, Phase, TrainingMode

MAX_STALLED_ATTEMPTS = 3
"""Attempts that die without a new checkpoint before the job is given up: the cause is not chance then."""

WORKER_KILLED = "WORKER_KILLED"
"""Reason of the failure of a job that was given up so; no call is answered with it."""


class JobState(enum.StrEnum):
    """Life of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLING, JobState.QUEUED}),
    JobState.CANCELLING: frozenset({JobState.CANCELLED, JobState.SUCCEEDED, JobState.FAILED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}
FINAL = frozenset(state for state, moves in MOVES.items() if not moves)


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


@dataclass(frozen=True)
class Progress:
    """Numbers of the training loop."""

    step: int = 0
    step_count: int = 0
    train_loss: float = 0.0
    epoch: float = 0.0


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
    state: JobState = JobState.QUEUED
    phase: Phase | None = None
    attempt: int = 0
    progress: Progress = field(default_factory=Progress)
    evaluation: Evaluation | None = None
    revision: str = ""
    ended_canary: str = ""
    """Revision that was the alias's canary until the job moved the alias; empty when none was on trial."""
    failure: Failure | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    events_offset: int = 0
    """Bytes of the run's journal that are in the history already."""
    stalled_attempts: int = 0
    """Attempts that died since the last checkpoint."""

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
        end = now if state in FINAL else None
        phase = self.phase if state in (JobState.RUNNING, JobState.CANCELLING) else None
        return dataclasses.replace(self, **{"phase": phase, **changes}, state=state, end_time=end)  # type: ignore[arg-type]  # fields by name


@dataclass(frozen=True)
class Event:
    """One entry of a job's history: exactly one of the three is set."""

    sequence: int
    time: datetime
    changed: Job | None = None
    progress: Progress | None = None
    checkpoint_step: int | None = None
