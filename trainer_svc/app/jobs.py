"""Training jobs as tenants see them: create, look, cancel, watch."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from sqlalchemy import Connection

from shared.changes import Changes
from shared.clock import Clock
from shared.digest import sha256_bytes
from shared.errors import StateConflict, Unavailable
from shared.names import AdapterName, DatasetName, JobName, TenantName, check_id, invalid_field
from shared.rpc.page import Page
from trainer_svc.domain.dataset import DatasetState
from trainer_svc.domain.job import FINAL, Event, Job, JobSpec, JobState
from trainer_svc.domain.plan import RANKS
from trainer_svc.store import catalog, history
from trainer_svc.store.codec import dump
from trainer_svc.store.database import Database

HEARTBEAT_SECONDS = 15.0
NO_ALIAS = "-"
_MAX_EPOCHS, _MAX_BATCH = 100, 256


class Jobs:
    """Creates and follows jobs; `trainer_svc.app.runner` runs them."""

    def __init__(self, database: Database, changes: Changes, clock: Clock) -> None:
        self._database, self._changes, self._clock = database, changes, clock

    async def create(self, job: Job, request_id: str) -> Job:
        """Queues a job, durably.

        Raises:
            InvalidInput: a setting is out of range, or a name is another tenant's.
            NotFound: the dataset does not exist.
            StateConflict: the dataset is not active.
            AlreadyExists: the id is taken.
        """
        name = JobName.parse(job.name)
        dataset = DatasetName.parse(job.dataset, "job.dataset")
        adapter = AdapterName.parse(job.adapter, "job.adapter")
        if {dataset.tenant, adapter.tenant} != {name.tenant}:
            raise invalid_field("job.dataset", "job, dataset and adapter belong to one tenant")
        if job.alias_id != NO_ALIAS:
            check_id(job.alias_id, "job.alias_id")
        check_spec(job.spec)
        payload = sha256_bytes(json.dumps([job.name, job.dataset, job.adapter, job.alias_id, dump(job.spec)]).encode())

        def work(connection: Connection) -> Job:
            if catalog.repeated(connection, name.tenant, "CreateTrainingJob", request_id, payload):
                return history.get_job(connection, name)
            stored = catalog.get_dataset(connection, dataset)
            if stored.state is not DatasetState.ACTIVE:
                raise StateConflict(
                    "STATE_CONFLICT",
                    f"{dataset} is {stored.state}, only an active dataset can be trained on",
                    hint="seal it, and mend the rows that ListDatasetFindings names",
                    metadata={"state": stored.state.value},
                )
            history.add_job(connection, job)
            return job

        created = await self._database.run(work)
        self._changes.ring()
        return created

    async def get(self, name: JobName) -> Job:
        """A job. Raises `NotFound`."""
        return await self._database.run(lambda c: history.get_job(c, name))

    async def page(self, parent: TenantName, page: Page) -> tuple[list[Job], str]:
        """One page, newest first."""
        return await self._database.run(lambda c: history.list_jobs(c, parent.tenant, page))

    async def cancel(self, name: JobName) -> Job:
        """Asks a job to stop; a job that is final or stopping already is returned as it is."""

        def work(connection: Connection) -> Job:
            job = history.get_job(connection, name)
            if job.state in FINAL or job.state is JobState.CANCELLING:
                return job
            now = self._clock.now()
            job = job.move(JobState.CANCELLED if job.state is JobState.QUEUED else JobState.CANCELLING, now)
            history.save_job(connection, job)
            history.record(connection, job, now)
            return job

        job = await self._database.run(work)
        self._changes.ring()
        return job

    async def watch(self, name: JobName, after: int) -> AsyncIterator[Event]:
        """Events after a sequence number, then live ones, until the job is final; a bare event is a heartbeat.

        Raises:
            NotFound: the job does not exist.
            Unavailable: the process drains.
        """
        if after < 0:
            raise invalid_field("after_sequence", f"must not be negative, got {after}")
        while True:
            mark = self._changes.mark()
            job = await self.get(name)
            events = await self._database.run(lambda c: history.events_after(c, name, after))  # noqa: B023  # run at once
            for event in events:
                after = event.sequence
                yield event
            if events:
                continue
            if job.state in FINAL:
                return
            if self._changes.closed:
                raise Unavailable("NOT_SERVING", "the trainer drains", hint="watch again after the last sequence")
            if not await Changes.wait(mark, HEARTBEAT_SECONDS):
                yield Event(after, self._clock.now())


def check_spec(spec: JobSpec) -> None:
    """Refuses settings out of range (`InvalidInput`), by their place in the request."""
    if spec.rank is not None and spec.rank not in RANKS:
        raise invalid_field("job.spec.rank", f"must be one of {RANKS}, got {spec.rank}")
    if spec.alpha is not None and not 0 < spec.alpha <= 16 * (spec.rank or RANKS[0]):
        raise invalid_field("job.spec.alpha", f"must lie in (0, 16 times the rank], got {spec.alpha}")
    if spec.learning_rate is not None and not 0 < spec.learning_rate <= 1:
        raise invalid_field("job.spec.learning_rate", f"must lie in (0, 1], got {spec.learning_rate}")
    if spec.epoch_count is not None and not 1 <= spec.epoch_count <= _MAX_EPOCHS:
        raise invalid_field("job.spec.epoch_count", f"must lie in 1..{_MAX_EPOCHS}, got {spec.epoch_count}")
    if spec.batch_size is not None and not 1 <= spec.batch_size <= _MAX_BATCH:
        raise invalid_field("job.spec.batch_size", f"must lie in 1..{_MAX_BATCH}, got {spec.batch_size}")
    if not 0 <= spec.seed < 2**32:
        raise invalid_field("job.spec.seed", f"must lie in [0, 2^32), got {spec.seed}")
