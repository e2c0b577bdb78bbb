"""Runs queued jobs in child processes and publishes what they make, exactly once."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from shared.base_model import BaseModel
from shared.changes import Changes
from shared.clock import Clock
from shared.errors import DomainError
from shared.files import write_atomic
from shared.names import ContractName, DatasetName, JobName
from shared.storage.base import BlobStore
from trainer_svc.app.journal_reader import ingest
from trainer_svc.app.observer import UNOBSERVED, Observer
from trainer_svc.app.publisher import Publisher
from trainer_svc.domain.job import FINAL, MAX_STALLED_ATTEMPTS, WORKER_KILLED, Failure, Job, JobState
from trainer_svc.domain.run import (
    EXIT_CANCELLED,
    EXIT_DONE,
    EXIT_INTERNAL_ERROR,
    EXIT_USER_ERROR,
    RunFolder,
    RunSpec,
)
from trainer_svc.store import catalog, history
from trainer_svc.store.database import Database

_log = logging.getLogger(__name__)

_JOURNAL_SECONDS = 0.25
_CANCEL_GRACE_SECONDS = 30.0
"""A micro-step of a large base on CPU; after it the child is killed, its last checkpoint stays."""
_IDLE_SECONDS = 30.0


@dataclass(frozen=True)
class RunnerSettings:
    """Where runs live and what a child may use."""

    runs_dir: Path
    contract_dir: Path
    threads: int
    parallel_jobs: int


class Runner:
    """Takes jobs from the queue, oldest first."""

    def __init__(
        self, *, database: Database, blobs: BlobStore, publisher: Publisher, changes: Changes, clock: Clock,
        base: BaseModel, settings: RunnerSettings, observer: Observer = UNOBSERVED,
    ) -> None:  # fmt: skip
        self._database, self._blobs, self._publisher = database, blobs, publisher
        self._changes, self._clock, self._base, self._settings = changes, clock, base, settings
        self._observer = observer
        self._running: dict[str, asyncio.Task[None]] = {}

    async def recover(self) -> None:
        """Queues what a dead service left running; its children died with it."""

        def work(connection: Connection) -> None:
            now = self._clock.now()
            for job in history.jobs_in(connection, JobState.RUNNING, JobState.CANCELLING):
                state = JobState.QUEUED if job.state is JobState.RUNNING else JobState.CANCELLED
                moved = job.move(state, now)
                history.save_job(connection, moved)
                history.record(connection, moved, now)

        await self._database.run(work)

    async def run(self) -> None:
        """Runs jobs until cancelled."""
        while True:
            mark = self._changes.mark()
            self._running = {name: task for name, task in self._running.items() if not task.done()}
            while len(self._running) < self._settings.parallel_jobs:
                job = await self._claim()
                if job is None:
                    break
                self._running[job.name] = asyncio.create_task(self._attempt(job))
            self._observer.jobs_counted(await self._database.run(history.count_jobs))
            await Changes.wait(mark, _IDLE_SECONDS)

    async def stop(self) -> None:
        """Kills the children; their jobs go on from the last checkpoint at the next start."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _claim(self) -> Job | None:
        def work(connection: Connection) -> Job | None:
            queued = history.jobs_in(connection, JobState.QUEUED)
            if not queued:
                return None
            now = self._clock.now()
            first = queued[0]
            job = first.move(JobState.RUNNING, now, attempt=first.attempt + 1, start_time=first.start_time or now)
            history.save_job(connection, job)
            history.record(connection, job, now)
            return job

        job = await self._database.run(work)
        if job is not None:
            self._observer.attempt_begins(job, (self._clock.now() - job.create_time).total_seconds())
            self._changes.ring()
        return job

    async def _attempt(self, job: Job) -> None:
        try:
            await self._run_child(job)
            ended = await self._database.run(lambda c: history.get_job(c, JobName.parse(job.name)))
            if ended.state in FINAL:
                self._observer.job_ends(ended)
        finally:
            self._changes.ring()  # last: who wakes looks whether this task is done

    async def _run_child(self, job: Job) -> None:
        """One attempt; whatever happens is written down."""
        folder = RunFolder(self._settings.runs_dir / job.name.replace("/", "_"))
        try:
            await self._prepare(job, folder)
            status = await self._child(job, folder)
            await self._conclude(job, folder, status)
        except DomainError as err:  # a full disk or rotted bytes: the run's folder stays, its cause is told
            _log.exception("job could not be run", extra={"job": job.name, "reason": err.reason})
            await self._finish(job.name, JobState.FAILED, Failure(err.reason, str(err), user_error=False))
        except Exception:  # whatever a job runs into, the runner lives on for the others; the job fails and says so
            _log.exception("job could not be run", extra={"job": job.name})
            await self._finish(
                job.name, JobState.FAILED, Failure("INTERNAL", "the trainer could not run the job", user_error=False)
            )

    async def _prepare(self, job: Job, folder: RunFolder) -> None:
        dataset = await self._database.run(lambda c: catalog.get_dataset(c, DatasetName.parse(job.dataset)))
        contract = await self._database.run(lambda c: catalog.get_contract(c, ContractName.parse(dataset.contract)))
        spec = RunSpec(
            job=job.name,
            base_model_dir=str(self._base.folder),
            contract_name=contract.name,
            contract=contract.spec,
            contract_cache_dir=str(self._settings.contract_dir),
            dataset_digest=dataset.digest,
            threads=self._settings.threads,
            instruction_prompt=dataset.instruction_prompt,
            database_sql=dataset.database_sql,
            **dataclasses.asdict(job.spec),
        )

        def write() -> None:
            write_atomic(folder.train_rows, self._blobs.read(dataset.train_rows))
            write_atomic(folder.holdout_rows, self._blobs.read(dataset.holdout_rows))
            write_atomic(folder.spec, spec.to_json())
            folder.failure.unlink(missing_ok=True)

        await asyncio.to_thread(write)

    async def _child(self, job: Job, folder: RunFolder) -> int:
        """Runs the child, moving its journal into the history; returns its exit status (negative: the signal)."""
        environment = {
            **os.environ,
            "GOLDSMITH_PARENT_PID": str(os.getpid()),
            "OMP_NUM_THREADS": str(self._settings.threads),
            "OMP_WAIT_POLICY": "PASSIVE",
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        with (folder.path / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "trainer_svc.worker", str(folder.path), stdout=log, stderr=log, env=environment
            )
        ended = asyncio.create_task(process.wait())
        stopper: asyncio.Task[None] | None = None
        try:
            while not ended.done():
                await asyncio.wait({ended}, timeout=_JOURNAL_SECONDS)
                await self._ingest(job, folder)
                if stopper is None and await self._is_cancelling(job):
                    stopper = asyncio.create_task(_stop_child(process, folder))
            await self._ingest(job, folder)
            return ended.result()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            if stopper is not None:
                stopper.cancel()

    async def _ingest(self, job: Job, folder: RunFolder) -> None:
        name, now = JobName.parse(job.name), self._clock.now()
        if await self._database.run(lambda c: ingest(c, name, folder.events, now)):
            self._changes.ring()

    async def _is_cancelling(self, job: Job) -> bool:
        stored = await self._database.run(lambda c: history.get_job(c, JobName.parse(job.name)))
        return stored.state is JobState.CANCELLING

    async def _conclude(self, job: Job, folder: RunFolder, status: int) -> None:
        if status == EXIT_DONE:
            await self._publisher.publish(job.name, folder)
        elif status in (EXIT_USER_ERROR, EXIT_INTERNAL_ERROR) and folder.failure.is_file():
            await self._finish(job.name, JobState.FAILED, Failure(**json.loads(folder.failure.read_bytes())))
        elif status == EXIT_CANCELLED or await self._is_cancelling(job):
            await self._finish(job.name, JobState.CANCELLED, None)
        else:
            await self._requeue(job, status)

    async def _requeue(self, job: Job, status: int) -> None:
        """The child was killed: try again from its last checkpoint, unless that goes nowhere."""
        _log.warning("training child was killed", extra={"job": job.name, "status": status, "attempt": job.attempt})

        def work(connection: Connection) -> None:
            now, stored = self._clock.now(), history.get_job(connection, JobName.parse(job.name))
            stalled = stored.stalled_attempts + 1
            if stored.state is JobState.CANCELLING:  # asked for between the child's death and now
                moved = stored.move(JobState.CANCELLED, now)
            elif stalled >= MAX_STALLED_ATTEMPTS:
                failure = Failure(
                    WORKER_KILLED,
                    f"the training process was killed {stalled} times without progress (status {status}), probably for "
                    "want of memory",
                    user_error=False,
                )
                moved = stored.move(JobState.FAILED, now, failure=failure, stalled_attempts=stalled)
            else:
                moved = stored.move(JobState.QUEUED, now, stalled_attempts=stalled)
            history.save_job(connection, moved)
            history.record(connection, moved, now)

        await self._database.run(work)

    async def _finish(self, name: str, state: JobState, failure: Failure | None) -> None:
        def work(connection: Connection) -> None:
            now, stored = self._clock.now(), history.get_job(connection, JobName.parse(name))
            if state is JobState.CANCELLED and stored.state is JobState.RUNNING:
                stored = stored.move(JobState.CANCELLING, now)
            moved = stored.move(state, now, failure=failure)
            history.save_job(connection, moved)
            history.record(connection, moved, now)

        await self._database.run(work)


async def _stop_child(process: asyncio.subprocess.Process, folder: RunFolder) -> None:
    folder.cancel.touch()
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(_CANCEL_GRACE_SECONDS)
        process.kill()
