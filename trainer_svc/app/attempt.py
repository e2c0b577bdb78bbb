"""One attempt at a job: its folder, its child process, and what becomes of the job when that ends."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection

from shared.base_model import BaseModel
from shared.changes import Changes
from shared.clock import Clock
from shared.errors import DomainError
from shared.names import AdapterName, JobName, RevisionName
from shared.storage.base import BlobStore
from trainer_svc.app.journal_reader import ingest
from trainer_svc.app.publisher import Publisher
from trainer_svc.app.retention import drop_training_state, run_folder
from trainer_svc.app.run_files import RunFiles, RunnerSettings
from trainer_svc.app.worker_process import run_worker
from trainer_svc.domain.fault import FAILURES, fault_of
from trainer_svc.domain.job import DISK_FULL, MAX_VALIDATION_SECONDS, OUT_OF_MEMORY, Failure, Job, JobState
from trainer_svc.domain.outcome import after_death
from trainer_svc.domain.registry import Revision, compared_alias
from trainer_svc.domain.run import (
    EXIT_DISK_FULL,
    EXIT_DONE,
    EXIT_INTERNAL_ERROR,
    EXIT_OUT_OF_MEMORY,
    EXIT_USER_ERROR,
    VALIDATE_FLAG,
    RunFolder,
)
from trainer_svc.store import history, shelf
from trainer_svc.store.database import Database

_log = logging.getLogger(__name__)

_NOTE_SECONDS = 10.0
"""Run time that the death of the service may forget; noting it costs a small transaction."""
_FAULT_OF_STATUS = {EXIT_DISK_FULL: DISK_FULL, EXIT_OUT_OF_MEMORY: OUT_OF_MEMORY}
_STOPPING = frozenset({JobState.PAUSING, JobState.CANCELLING})


class Attempts:
    """Runs one attempt at a time for each caller; whatever happens is written down in the job."""

    def __init__(
        self, *, database: Database, blobs: BlobStore, publisher: Publisher, changes: Changes, clock: Clock,
        base: BaseModel, settings: RunnerSettings,
    ) -> None:  # fmt: skip
        self._database, self._publisher, self._changes, self._clock = database, publisher, changes, clock
        self._settings, self._files = settings, RunFiles(database, blobs, base, settings)

    async def validate(self, job: Job) -> None:
        """Proves a job that is VALIDATING; one that takes more than `MAX_VALIDATION_SECONDS` is stopped."""
        await self._attempt(job, (VALIDATE_FLAG,))

    async def train(self, job: Job) -> None:
        """Trains, evaluates and publishes a job that is RUNNING."""
        await self._attempt(job, ())

    async def _attempt(self, job: Job, flags: tuple[str, ...]) -> None:
        folder = run_folder(self._settings.runs_dir, job.name)
        try:
            start, live = await self._start_of(job), await self._live_of(job)
            await self._files.write(folder, job.spec, job=job.name, dataset=job.dataset, start=start, live=live)
            begin = self._clock.now()
            look = lambda: self._look(job.name, folder, begin)  # noqa: E731
            use = self._settings
            status = await run_worker(folder, threads=use.threads, processes=use.processes, look=look, flags=flags)
            await self._conclude(job, folder, status)
        except Exception as err:  # the runner lives on for other jobs; this one fails and says so
            _log.exception("job could not be run", extra={"job": job.name})
            now, failure = self._clock.now(), _failure_of(err)
            await self._change(job.name, lambda stored: stored.move(JobState.FAILED, now, failure=failure))

    async def _start_of(self, job: Job) -> Revision | None:
        """The revision whose weights it begins with."""
        if not job.base_revision:
            return None
        name = RevisionName.parse(job.base_revision)
        return await self._database.run(lambda c: shelf.get_revision(c, name))

    async def _live_of(self, job: Job) -> Revision | None:
        """The revision that its adapter is compared with."""
        alias = compared_alias(AdapterName.parse(job.adapter), job.alias_id)

        def work(connection: Connection) -> Revision | None:
            found = shelf.find_alias(connection, alias)
            return shelf.get_revision(connection, RevisionName.parse(found.revision)) if found is not None else None

        return await self._database.run(work)

    async def _look(self, name: str, folder: RunFolder, begin: datetime) -> str:
        """Moves the journal into the history; why the child, at it since `begin`, shall stop, if it shall."""
        own = JobName.parse(name)

        def work(connection: Connection) -> tuple[bool, Job]:
            now = self._clock.now()
            told, job = ingest(connection, own, folder.events, now), history.get_job(connection, own)
            if job.worker_since is not None and (now - job.worker_since).total_seconds() >= _NOTE_SECONDS:
                job = job.timed(now)
                history.save_job(connection, job)
            return told, job

        told, job = await self._database.run(work)
        if told:
            self._changes.ring()
        if job.state in _STOPPING:
            return job.state.value
        now = self._clock.now()
        if job.state is JobState.VALIDATING and (now - begin).total_seconds() >= MAX_VALIDATION_SECONDS:
            return "too long"
        return "out of time" if job.is_out_of_time(now) else ""

    async def _conclude(self, job: Job, folder: RunFolder, status: int) -> None:
        if status == EXIT_DONE and job.state is not JobState.VALIDATING:
            await self._publisher.publish(job.name, folder)
            await asyncio.to_thread(drop_training_state, folder)
            return
        failure = _failure_in(folder, status)
        if failure is None:
            _log.info("training child ended", extra={"job": job.name, "status": status, "attempt": job.attempt})

        def settle(stored: Job) -> Job:
            now = self._clock.now()
            if failure is not None:
                return stored.move(JobState.FAILED, now, failure=failure)
            if status == EXIT_DONE and stored.state is JobState.VALIDATING:
                return stored.move(JobState.QUEUED, now, stalled_attempts=0)
            return after_death(stored, status, now)

        await self._change(job.name, settle)

    async def _change(self, name: str, change: Callable[[Job], Job]) -> None:
        def work(connection: Connection) -> None:
            moved = change(history.get_job(connection, JobName.parse(name)))
            history.save_job(connection, moved)
            history.record(connection, moved, self._clock.now())

        await self._database.run(work)


def _failure_in(folder: RunFolder, status: int) -> Failure | None:
    """What the child says of its failure, by its status or in its file; None when it did not fail."""
    if status in _FAULT_OF_STATUS:
        return FAILURES[_FAULT_OF_STATUS[status]]
    if status in (EXIT_USER_ERROR, EXIT_INTERNAL_ERROR) and folder.failure.is_file():
        return Failure(**json.loads(folder.failure.read_bytes()))
    return None


def _failure_of(error: Exception) -> Failure:
    """What the service itself ran into: a full disk, rotted bytes, a bug."""
    fault = fault_of(error)
    if fault is not None:
        return FAILURES[fault]
    if isinstance(error, DomainError):
        return Failure(error.reason, str(error), user_error=False)
    return Failure("INTERNAL", "the trainer could not run the job", user_error=False)
