"""One attempt at a job: its folder, its child process, and what becomes of the job when that ends."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from shared.base_model import BaseModel
from shared.changes import Changes
from shared.clock import Clock
from shared.errors import DomainError
from shared.files import write_atomic
from shared.names import ContractName, DatasetName, JobName, RevisionName
from shared.storage.base import BlobStore
from trainer_svc.app.journal_reader import ingest
from trainer_svc.app.publisher import Publisher
from trainer_svc.app.retention import drop_training_state, run_folder
from trainer_svc.app.worker_process import run_worker
from trainer_svc.domain.fault import FAILURES, fault_of
from trainer_svc.domain.job import DISK_FULL, MAX_VALIDATION_SECONDS, OUT_OF_MEMORY, Failure, Job, JobState
from trainer_svc.domain.outcome import after_death
from trainer_svc.domain.registry import Revision
from trainer_svc.domain.run import (
    EXIT_DISK_FULL,
    EXIT_DONE,
    EXIT_INTERNAL_ERROR,
    EXIT_OUT_OF_MEMORY,
    EXIT_USER_ERROR,
    VALIDATE_FLAG,
    RunFolder,
    RunSpec,
)
from trainer_svc.store import catalog, history, shelf
from trainer_svc.store.database import Database

_log = logging.getLogger(__name__)

_NOTE_SECONDS = 10.0
"""Run time that the death of the service may forget; noting it costs a small transaction."""
_FAULT_OF_STATUS = {EXIT_DISK_FULL: DISK_FULL, EXIT_OUT_OF_MEMORY: OUT_OF_MEMORY}
_STOPPING = frozenset({JobState.PAUSING, JobState.CANCELLING})


@dataclass(frozen=True)
class RunnerSettings:
    """Where runs live and what a child may use."""

    runs_dir: Path
    contract_dir: Path
    threads: int
    parallel_jobs: int


class Attempts:
    """Runs one attempt at a time for each caller; whatever happens is written down in the job."""

    def __init__(
        self, *, database: Database, blobs: BlobStore, publisher: Publisher, changes: Changes, clock: Clock,
        base: BaseModel, settings: RunnerSettings,
    ) -> None:  # fmt: skip
        self._database, self._blobs, self._publisher = database, blobs, publisher
        self._changes, self._clock, self._base, self._settings = changes, clock, base, settings

    async def validate(self, job: Job) -> None:
        """Proves a job that is VALIDATING; one that takes more than `MAX_VALIDATION_SECONDS` is stopped."""
        await self._attempt(job, (VALIDATE_FLAG,))

    async def train(self, job: Job) -> None:
        """Trains, evaluates and publishes a job that is RUNNING."""
        await self._attempt(job, ())

    async def _attempt(self, job: Job, flags: tuple[str, ...]) -> None:
        folder = run_folder(self._settings.runs_dir, job.name)
        try:
            await self._prepare(job, folder)
            begin = self._clock.now()
            look = lambda: self._look(job.name, folder, begin)  # noqa: E731
            status = await run_worker(folder, threads=self._settings.threads, look=look, flags=flags)
            await self._conclude(job, folder, status)
        except Exception as err:  # the runner lives on for other jobs; this one fails and says so
            _log.exception("job could not be run", extra={"job": job.name})
            now, failure = self._clock.now(), _failure_of(err)
            await self._change(job.name, lambda stored: stored.move(JobState.FAILED, now, failure=failure))

    async def _prepare(self, job: Job, folder: RunFolder) -> None:
        dataset = await self._database.run(lambda c: catalog.get_dataset(c, DatasetName.parse(job.dataset)))
        contract = await self._database.run(lambda c: catalog.get_contract(c, ContractName.parse(dataset.contract)))
        start = await self._start_of(job)
        spec = RunSpec(
            job=job.name,
            base_model_dir=str(self._base.folder),
            contract_name=contract.name,
            contract=contract.spec,
            contract_cache_dir=str(self._settings.contract_dir),
            dataset_digest=dataset.content_digest,
            threads=self._settings.threads,
            instruction_prompt=dataset.instruction_prompt,
            database_sql=dataset.database_sql,
            start_digest=start.digest if start is not None else "",
            **dataclasses.asdict(job.spec),
        )

        def write() -> None:
            write_atomic(folder.train_rows, self._blobs.read(dataset.train_rows))
            write_atomic(folder.holdout_rows, self._blobs.read(dataset.holdout_rows))
            if start is not None:
                self._write_start(folder.start, start)
            write_atomic(folder.spec, spec.to_json())
            folder.failure.unlink(missing_ok=True)
            folder.stop.unlink(missing_ok=True)

        await asyncio.to_thread(write)

    async def _start_of(self, job: Job) -> Revision | None:
        """The revision whose weights it begins with."""
        if not job.base_revision:
            return None
        name = RevisionName.parse(job.base_revision)
        return await self._database.run(lambda c: shelf.get_revision(c, name))

    def _write_start(self, folder: Path, start: Revision) -> None:
        """Lays out a package, whose bytes the child checks against the digest; what a crash left of one goes first."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in start.files:
            with (folder / file.filename).open("wb") as copy:
                copy.writelines(self._blobs.chunks(file.digest, 0, 1 << 20))

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
