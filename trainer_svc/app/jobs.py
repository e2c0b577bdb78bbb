"""Training jobs as tenants see them: create, look, cancel, pause, resume, watch."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from sqlalchemy import Connection

from shared.changes import Changes
from shared.clock import Clock
from shared.digest import sha256_bytes
from shared.errors import StateConflict, Unavailable
from shared.names import AdapterName, DatasetName, JobName, RevisionName, TenantName, check_id, invalid_field
from shared.rpc.page import Page
from trainer_svc.app.observer import UNOBSERVED, Observer
from trainer_svc.domain import wish
from trainer_svc.domain.dataset import DatasetState
from trainer_svc.domain.early_stopping import VALIDATIONS
from trainer_svc.domain.job import FINAL, Event, Job, JobSpec, Priority
from trainer_svc.domain.job_queue import check_room
from trainer_svc.domain.milestone import MAX_MILESTONES
from trainer_svc.domain.plan import RANKS
from trainer_svc.domain.registry import NO_ALIAS
from trainer_svc.store import catalog, history, shelf
from trainer_svc.store.codec import dump
from trainer_svc.store.database import Database

HEARTBEAT_SECONDS = 15.0
DEFAULT_TENANT_LIMIT, DEFAULT_LIMIT = 100, 1_000
"""Jobs that may wait: of one tenant, paused ones included, and of all without them."""
_MAX_EPOCHS, _MAX_BATCH = 100, 256
_MAX_LORAPLUS_RATIO = 64
"""Hayou et al. recommend 16."""
_MAX_RUN_TIME_SECONDS = 365 * 86_400.0
_ADDED_SETTINGS = (
    "use_rslora", "loraplus_ratio", "initialization", "preset", "early_stopping_patience", "evaluated_checkpoint_count",
)  # fmt: skip
"""Fields of `JobSpec` that came after its first release; any later one belongs here, too."""
_OPEN = JobSpec()


class Jobs:
    """Creates and follows jobs; `trainer_svc.app.runner` runs them."""

    def __init__(
        self, database: Database, changes: Changes, clock: Clock, *,
        tenant_limit: int = DEFAULT_TENANT_LIMIT, limit: int = DEFAULT_LIMIT, observer: Observer = UNOBSERVED,
    ) -> None:  # fmt: skip
        self._database, self._changes, self._clock, self._observer = database, changes, clock, observer
        self._tenant_limit, self._limit = tenant_limit, limit

    async def create(self, job: Job, request_id: str) -> Job:
        """Takes a job into the queue, durably.

        Raises:
            InvalidInput: a setting is out of range, or a name is another tenant's.
            NotFound: the dataset or the base revision does not exist.
            StateConflict: the dataset is not sealed, is being labelled, or failed its check.
            AlreadyExists: the id is taken.
            Exhausted: too many jobs wait already, the tenant's (paused ones count) or all (they do not).
        """
        name = JobName.parse(job.name)
        dataset = DatasetName.parse(job.dataset, "job.dataset")
        adapter = AdapterName.parse(job.adapter, "job.adapter")
        if {dataset.tenant, adapter.tenant} != {name.tenant}:
            raise invalid_field("job.dataset", "job, dataset and adapter belong to one tenant")
        start = RevisionName.parse(job.base_revision, "job.base_revision") if job.base_revision else None
        if start is not None and start.tenant != name.tenant:
            raise invalid_field("job.base_revision", "belongs to another tenant")
        if job.alias_id != NO_ALIAS:
            check_id(job.alias_id, "job.alias_id")
        check_spec(job.spec)
        _check_run_time(job.run_time_limit_seconds)
        payload = _payload(job)

        def work(connection: Connection) -> Job:
            if catalog.repeated(connection, name.tenant, "CreateTrainingJob", request_id, payload):
                return history.get_job(connection, name)
            stored = catalog.get_dataset(connection, dataset)
            if stored.state not in (DatasetState.VALIDATING, DatasetState.ACTIVE):
                raise StateConflict(
                    "STATE_CONFLICT",
                    f"{dataset} is {stored.state}, only a sealed dataset that passes its check can be trained on",
                    hint="seal it, and mend the rows that ListDatasetFindings names",
                    metadata={"state": stored.state.value},
                )
            if stored.state is DatasetState.VALIDATING and stored.teacher is not None:
                # Its check has no end that anybody knows, and jobs that wait take room from all tenants.
                raise StateConflict(
                    "STATE_CONFLICT",
                    f"{dataset} waits for its teacher's answers",
                    hint="create the job when the dataset is ACTIVE",
                    metadata={"state": stored.state.value},
                )
            if start is not None:
                shelf.get_revision(connection, start)
            of_tenant, of_all = history.count_waiting(connection, name.tenant)
            check_room(of_tenant=of_tenant, tenant_limit=self._tenant_limit, of_all=of_all, limit=self._limit)
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
        """Asks a job to stop for good; a job that is final or stopping already is returned as it is."""
        return await self._change(name, wish.cancelled)

    async def pause(self, name: JobName) -> Job:
        """Stops a job until it is resumed. Raises `NotFound`, and `StateConflict` as `wish.paused`."""
        return await self._change(name, wish.paused)

    async def resume(self, name: JobName) -> Job:
        """Queues a paused job again, in a full queue, too. Raises `NotFound`, and `StateConflict` as `wish.resumed`."""
        return await self._change(name, wish.resumed)

    async def _change(self, name: JobName, change: Callable[[Job, datetime], Job]) -> Job:
        def work(connection: Connection) -> tuple[Job, bool]:
            now, before = self._clock.now(), history.get_job(connection, name)
            after = change(before, now)
            if after is not before:
                history.save_job(connection, after)
                history.record(connection, after, now)
            return after, after is not before

        job, is_changed = await self._database.run(work)
        if is_changed and job.state in FINAL and job.attempt:
            self._observer.job_ends(job)  # it ran before, and no worker is left to tell
        if is_changed:
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


def _payload(job: Job) -> str:
    """Digest of what a caller sets. A field that an older release did not know counts only where it is set.

    So a request that is repeated across an update is still the same request.
    """
    open_settings = {key for key in _ADDED_SETTINGS if getattr(job.spec, key) == getattr(_OPEN, key)}
    parts: list[object] = [job.name, job.dataset, job.adapter, job.alias_id, dump(job.spec, without=open_settings)]
    added = {"priority": job.priority, "run_time_limit": job.run_time_limit_seconds, "base_revision": job.base_revision}
    parts += [[key, value] for key, value in added.items() if value not in (Priority.NORMAL, None, "")]
    return sha256_bytes(json.dumps(parts).encode())


def _check_run_time(seconds: float | None) -> None:
    if seconds is not None and not 0 < seconds <= _MAX_RUN_TIME_SECONDS:
        raise invalid_field("job.run_time_limit", f"must lie in (0 s, {_MAX_RUN_TIME_SECONDS:g} s], got {seconds:g} s")


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
    if spec.loraplus_ratio is not None and not 1 <= spec.loraplus_ratio <= _MAX_LORAPLUS_RATIO:
        raise invalid_field(
            "job.spec.loraplus_ratio", f"must lie in 1..{_MAX_LORAPLUS_RATIO}, got {spec.loraplus_ratio}"
        )
    patience = spec.early_stopping_patience
    if patience is not None and not 0 <= patience <= VALIDATIONS:
        raise invalid_field("job.spec.early_stopping_patience", f"must lie in 0..{VALIDATIONS}, got {patience}")
    count = spec.evaluated_checkpoint_count
    if count is not None and not 1 <= count <= MAX_MILESTONES:
        raise invalid_field("job.spec.evaluated_checkpoint_count", f"must lie in 1..{MAX_MILESTONES}, got {count}")
    if not 0 <= spec.seed < 2**32:
        raise invalid_field("job.spec.seed", f"must lie in [0, 2^32), got {spec.seed}")
