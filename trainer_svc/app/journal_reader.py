"""Moves a run's journal into the job's history, each line exactly once."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from shared.names import JobName
from trainer_svc.domain.estimate import Usage
from trainer_svc.domain.job import CheckpointScore, Event, Job, JobSpec, JobState, Progress
from trainer_svc.domain.run import Phase
from trainer_svc.store import calibration, history
from trainer_svc.store.codec import load

_SPEC_FIELDS = (
    "rank", "alpha", "learning_rate", "epoch_count", "batch_size", "use_rslora", "loraplus_ratio",
    "early_stopping_patience", "evaluated_checkpoint_count",
)  # fmt: skip


def ingest(connection: Connection, name: JobName, journal: Path, now: datetime) -> bool:
    """Reads the lines that are not in the history yet; whether there were any.

    The place reached is stored with the job in the same transaction as the events.
    """
    job = history.get_job(connection, name)
    lines = _complete_lines(journal, job.events_offset)
    if not lines:
        return False
    for line in lines:
        job = dataclasses.replace(job, events_offset=job.events_offset + len(line) + 1)
        if line.strip():
            job = _apply(connection, job, line, now)
    history.save_job(connection, job)
    return True


def _complete_lines(journal: Path, offset: int) -> list[bytes]:
    if not journal.is_file():
        return []
    with journal.open("rb") as file:
        file.seek(offset)
        return file.read().split(b"\n")[:-1]


def _apply(connection: Connection, job: Job, line: bytes, now: datetime) -> Job:
    try:
        body: dict[str, Any] = json.loads(line)  # Any: the journal's own lines
    except ValueError:
        return job  # torn by a crash of the child; what it told is told again by the next attempt
    kind = body.pop("type")
    return _KINDS[kind](connection, job, body, now)


def _phase(connection: Connection, job: Job, body: dict[str, Any], now: datetime) -> Job:
    job = dataclasses.replace(job, phase=Phase(body["phase"]))
    state = JobState.EVALUATING if job.phase in (Phase.EVALUATING, Phase.PUBLISHING) else JobState.RUNNING
    if job.state in (JobState.RUNNING, JobState.EVALUATING) and job.state is not state:  # one that shall stop says so
        job = job.move(state, now)
    history.record(connection, job, now)
    return job


def _settings(connection: Connection, job: Job, body: dict[str, Any], now: datetime) -> Job:
    spec: JobSpec = dataclasses.replace(job.spec, **{key: body[key] for key in _SPEC_FIELDS if key in body})
    return dataclasses.replace(job, spec=spec)


def _progress(connection: Connection, job: Job, body: dict[str, Any], now: datetime) -> Job:
    progress = Progress(**body)
    history.append_event(connection, job.name, Event(0, now, progress=progress))
    return dataclasses.replace(job, progress=progress)


def _checkpoint(connection: Connection, job: Job, body: dict[str, Any], now: datetime) -> Job:
    history.append_event(connection, job.name, Event(0, now, checkpoint_step=body["step"]))
    return dataclasses.replace(job, stalled_attempts=0)


def _evaluated(connection: Connection, job: Job, body: dict[str, Any], now: datetime) -> Job:
    history.append_event(connection, job.name, Event(0, now, evaluated=CheckpointScore(**body)))
    return job


def _usage(connection: Connection, job: Job, body: dict[str, Any], now: datetime) -> Job:
    calibration.add_usage(connection, load(Usage, json.dumps(body)))
    return job


_KINDS: dict[str, Callable[[Connection, Job, dict[str, Any], datetime], Job]] = {
    "phase": _phase,
    "settings": _settings,
    "progress": _progress,
    "checkpoint": _checkpoint,
    "evaluated": _evaluated,
    "usage": _usage,
}
