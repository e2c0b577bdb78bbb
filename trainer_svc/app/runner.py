"""Gives waiting jobs to child processes: one validation and a few trainings at a time, in the order of the queue."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from shared.base_model import BaseModel
from shared.changes import Changes
from shared.clock import Clock
from shared.names import DatasetName, JobName
from shared.storage.base import BlobStore
from trainer_svc.app.attempt import Attempts
from trainer_svc.app.machine import Machine
from trainer_svc.app.observer import UNOBSERVED, Observer
from trainer_svc.app.publisher import Publisher
from trainer_svc.app.run_files import RunnerSettings
from trainer_svc.domain.dataset import DatasetState
from trainer_svc.domain.job import DATASET_FAILED, FINAL, WORKING, Failure, Job, JobState
from trainer_svc.domain.job_queue import Turns, next_job
from trainer_svc.domain.outcome import after_restart
from trainer_svc.store import catalog, history
from trainer_svc.store.database import Database

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 30.0
_PENDING_SECONDS = 1.0
"""How often datasets are looked at whose check a job waits for; also the pause after the database failed."""

_Tasks = dict[str, asyncio.Task[None]]
_Claim = Callable[[], Awaitable[Job | None]]
_Run = Callable[[Job], Awaitable[None]]


class Runner:
    """Takes jobs by the rules of `trainer_svc.domain.job_queue`. With no `parallel_jobs` it takes none."""

    def __init__(
        self, *, database: Database, blobs: BlobStore, publisher: Publisher, changes: Changes, clock: Clock,
        base: BaseModel, settings: RunnerSettings, observer: Observer = UNOBSERVED,
    ) -> None:  # fmt: skip
        self._database, self._changes, self._clock, self._settings = database, changes, clock, settings
        self._observer = observer
        self.machine = Machine(database, changes)
        """To be asked by whoever wants it for a measurement."""
        self._attempts = Attempts(
            database=database, blobs=blobs, publisher=publisher, changes=changes, clock=clock, base=base,
            settings=settings,
        )  # fmt: skip
        self._training: _Tasks = {}
        self._validating: _Tasks = {}
        self._is_unsettled = False
        self._turns, self._validation_turns = Turns(), Turns()

    async def recover(self) -> None:
        """Settles jobs that say they have a worker and have none: the service died, or could not write their end."""
        held = {*self._training, *self._validating}

        def work(connection: Connection) -> bool:
            now = self._clock.now()
            lost = [job for job in history.jobs_in(connection, JobState.VALIDATING, *WORKING) if job.name not in held]
            for job in lost:
                _save(connection, after_restart(job, now), now)
            return bool(lost)

        if await self._database.run(work):
            self._changes.ring()

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
        """Fills the free places; how long to wait when nothing happens."""
        self._drop_ended()
        if self._is_unsettled:
            await self.recover()
            self._is_unsettled = False
        if self._settings.parallel_jobs:
            await self._fill(self._validating, 1, self._claim_validation, self._attempts.validate)
            claim = partial(self.machine.claim, self._claim_training)
            await self._fill(self._training, self._settings.parallel_jobs, claim, self._attempts.train)
        counts = await self._database.run(history.count_jobs)
        self._observer.jobs_counted(counts)
        return _PENDING_SECONDS if counts.get(JobState.PENDING) else _IDLE_SECONDS

    def _drop_ended(self) -> None:
        """Forgets the tasks that are done, and notes when one of them could not write down how its job ended."""
        for tasks in (self._training, self._validating):
            for name in [name for name, task in tasks.items() if task.done()]:
                error = tasks.pop(name).exception()
                if error is not None:
                    _log.error("the end of a job could not be written", exc_info=error, extra={"job": name})
                    self._is_unsettled = True

    async def _fill(self, tasks: _Tasks, places: int, claim: _Claim, run: _Run) -> None:
        while len(tasks) < places:
            job = await claim()
            if job is None:
                return
            tasks[job.name] = asyncio.create_task(self._attempt(run, job))
            self._changes.ring()

    async def _claim_validation(self) -> Job | None:
        """The next pending job whose dataset passed its check; ends those whose dataset did not."""

        def work(connection: Connection) -> tuple[Job | None, bool]:
            now, ready, states, is_any_refused = self._clock.now(), [], _DatasetStates(connection), False
            for job in history.jobs_in(connection, JobState.PENDING):
                state = states.of(job)
                if state in (DatasetState.FAILED, None):
                    _save(connection, job.move(JobState.FAILED, now, failure=_refusal(job, state)), now)
                    is_any_refused = True
                elif state is DatasetState.ACTIVE:
                    ready.append(job)
            first = next_job(ready, running={}, turns=self._validation_turns, now=now)
            return first and _save(connection, first.move(JobState.VALIDATING, now), now), is_any_refused

        job, is_any_refused = await self._database.run(work)
        if is_any_refused:
            self._changes.ring()
        if job is not None:
            self._validation_turns.take(JobName.parse(job.name).tenant)
        return job

    async def _claim_training(self) -> Job | None:
        """The next queued job, with its attempt begun."""
        running = Counter(JobName.parse(name).tenant for name in self._training)

        def work(connection: Connection) -> Job | None:
            now = self._clock.now()
            first = next_job(
                history.jobs_in(connection, JobState.QUEUED), running=running, turns=self._turns, now=now
            )  # fmt: skip
            if first is None:
                return None
            begun = first.move(
                JobState.RUNNING, now, attempt=first.attempt + 1, start_time=first.start_time or now
            )  # fmt: skip
            return _save(connection, begun, now)

        job = await self._database.run(work)
        if job is not None:
            self._turns.take(JobName.parse(job.name).tenant)
            self._observer.attempt_begins(job, (self._clock.now() - job.create_time).total_seconds())
        return job

    async def _attempt(self, run: _Run, job: Job) -> None:
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


class _DatasetStates:
    """States of datasets, each looked up once: a tenant may have a hundred jobs over one."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._states = connection, dict[str, DatasetState | None]()

    def of(self, job: Job) -> DatasetState | None:
        """That of the job's dataset; None when it was removed, which happens to those that are never checked."""
        if job.dataset not in self._states:
            dataset = catalog.find_dataset(self._connection, DatasetName.parse(job.dataset))
            self._states[job.dataset] = dataset.state if dataset is not None else None
        return self._states[job.dataset]


def _refusal(job: Job, state: DatasetState | None) -> Failure:
    why = (
        "did not pass its check: ListDatasetFindings names the rows"
        if state
        else "was removed unchecked: send it again"
    )
    return Failure(DATASET_FAILED, f"{job.dataset} {why}", user_error=True)
