"""Gives waiting jobs to child processes: one validation and a few trainings at a time, in the order of the queue."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from shared.base_model import BaseModel
from shared.changes import Changes
from shared.clock import Clock
from shared.names import DatasetName, JobName
from shared.storage.base import BlobStore
from trainer_svc.app.attempt import Attempts, RunnerSettings
from trainer_svc.app.observer import UNOBSERVED, Observer
from trainer_svc.app.publisher import Publisher
from trainer_svc.domain.dataset import DatasetState
from trainer_svc.domain.job import DATASET_FAILED, FINAL, WORKING, Failure, Job, JobState
from trainer_svc.domain.job_queue import next_job
from trainer_svc.domain.outcome import after_restart
from trainer_svc.store import catalog, history
from trainer_svc.store.database import Database

__all__ = ["Runner", "RunnerSettings"]

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 30.0
_PENDING_SECONDS = 1.0
"""How often datasets are looked at whose check a job waits for; also the pause after the database failed."""


class Runner:
    """Takes jobs by the rules of `trainer_svc.domain.job_queue`. With no `parallel_jobs` it takes none."""

    def __init__(
        self, *, database: Database, blobs: BlobStore, publisher: Publisher, changes: Changes, clock: Clock,
        base: BaseModel, settings: RunnerSettings, observer: Observer = UNOBSERVED,
    ) -> None:  # fmt: skip
        self._database, self._changes, self._clock, self._settings = database, changes, clock, settings
        self._observer = observer
        self._attempts = Attempts(
            database=database, blobs=blobs, publisher=publisher, changes=changes, clock=clock, base=base,
            settings=settings,
        )  # fmt: skip
        self._training: dict[str, asyncio.Task[None]] = {}
        self._validating: dict[str, asyncio.Task[None]] = {}
        self._is_unsettled = False
        self._turns: Counter[str] = Counter()
        """Of each tenant, the number of its last start, counted over all; a restart of the service forgets it."""

    async def recover(self) -> None:
        """Settles jobs that say they have a worker and have none: the service died, or could not write their end."""
        held = {*self._training, *self._validating}

        def work(connection: Connection) -> None:
            now = self._clock.now()
            for job in history.jobs_in(connection, JobState.VALIDATING, *WORKING):
                if job.name not in held:
                    _save(connection, after_restart(job, now), now)

        await self._database.run(work)

    async def run(self) -> None:
        """Runs jobs until cancelled; a database that fails, on a full disk say, is tried again."""
        while True:
            mark = self._changes.mark()
            try:
                pause = await self._turn()
            except (SQLAlchemyError, OSError):  # the jobs wait in the database, and so must who takes them
                _log.exception("the queue could not be read or written")
                pause = _PENDING_SECONDS
            await Changes.wait(mark, pause)

    async def stop(self) -> None:
        """Kills the children; their jobs go on from the last checkpoint at the next start."""
        tasks = [*self._training.values(), *self._validating.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _turn(self) -> float:
        """Fills the free places; how long nothing will happen by itself."""
        self._drop_ended()
        if self._is_unsettled:
            await self.recover()
            self._is_unsettled = False
        pending = False
        if self._settings.parallel_jobs:
            pending = await self._refuse_failed_datasets()
            await self._fill(self._validating, 1, JobState.PENDING, JobState.VALIDATING)
            await self._fill(self._training, self._settings.parallel_jobs, JobState.QUEUED, JobState.RUNNING)
        self._observer.jobs_counted(await self._database.run(history.count_jobs))
        return _PENDING_SECONDS if pending else _IDLE_SECONDS

    def _drop_ended(self) -> None:
        """Forgets the tasks that are done, and notes when one of them could not write down how its job ended."""
        for tasks in (self._training, self._validating):
            for name in [name for name, task in tasks.items() if task.done()]:
                error = tasks.pop(name).exception()
                if error is not None:
                    _log.error("the end of a job could not be written", exc_info=error, extra={"job": name})
                    self._is_unsettled = True

    async def _fill(self, tasks: dict[str, asyncio.Task[None]], places: int, waits: JobState, begins: JobState) -> None:
        while len(tasks) < places:
            job = await self._claim(tasks, waits, begins)
            if job is None:
                return
            run = self._attempts.validate if begins is JobState.VALIDATING else self._attempts.train
            tasks[job.name] = asyncio.create_task(self._attempt(run, job))
            self._changes.ring()

    async def _claim(self, tasks: dict[str, asyncio.Task[None]], waits: JobState, begins: JobState) -> Job | None:
        running = Counter(JobName.parse(name).tenant for name in tasks)

        def work(connection: Connection) -> Job | None:
            now = self._clock.now()
            waiting = [job for job in history.jobs_in(connection, waits) if _is_ready(connection, job)]
            first = next_job(waiting, running=running, turns=self._turns, now=now)
            if first is None:
                return None
            changes = {"attempt": first.attempt + 1, "start_time": first.start_time or now}
            return _save(connection, first.move(begins, now, **(changes if begins is JobState.RUNNING else {})), now)

        job = await self._database.run(work)
        if job is not None and begins is JobState.RUNNING:
            self._turns[JobName.parse(job.name).tenant] = max(self._turns.values(), default=0) + 1
            self._observer.attempt_begins(job, (self._clock.now() - job.create_time).total_seconds())
        return job

    async def _refuse_failed_datasets(self) -> bool:
        """Ends jobs whose dataset failed its check; whether others still wait for theirs."""

        def work(connection: Connection) -> bool:
            now, waits = self._clock.now(), False
            for job in history.jobs_in(connection, JobState.PENDING):
                state = _dataset_state(connection, job)
                waits = waits or state is DatasetState.VALIDATING
                if state is DatasetState.FAILED:
                    _save(connection, job.move(JobState.FAILED, now, failure=_refusal(job)), now)
            return waits

        return await self._database.run(work)

    async def _attempt(self, run: Callable[[Job], Awaitable[None]], job: Job) -> None:
        try:
            await run(job)
            ended = await self._database.run(lambda c: history.get_job(c, JobName.parse(job.name)))
            if ended.state in FINAL:
                self._observer.job_ends(ended)
        finally:
            self._changes.ring()  # last: who wakes looks whether this task is done


def _save(connection: Connection, job: Job, now: datetime) -> Job:
    history.save_job(connection, job)
    history.record(connection, job, now)
    return job


def _is_ready(connection: Connection, job: Job) -> bool:
    return job.state is not JobState.PENDING or _dataset_state(connection, job) is DatasetState.ACTIVE


def _dataset_state(connection: Connection, job: Job) -> DatasetState:
    return catalog.get_dataset(connection, DatasetName.parse(job.dataset)).state


def _refusal(job: Job) -> Failure:
    return Failure(
        DATASET_FAILED, f"{job.dataset} did not pass its check: ListDatasetFindings names the rows", user_error=True
    )
