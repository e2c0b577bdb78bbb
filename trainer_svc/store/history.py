"""Jobs and their events in the database. Every function works inside the caller's transaction."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from shared.errors import AlreadyExists
from shared.names import AdapterName, JobName, absent
from shared.rpc.page import Page
from trainer_svc.domain.job import HELD, WAITING, Event, Job, JobState
from trainer_svc.store.codec import dump, load
from trainer_svc.store.table import events, jobs


def find_job(connection: Connection, name: JobName) -> Job | None:
    """A job, or None."""
    where = (jobs.c.tenant == name.tenant) & (jobs.c.id == name.id)
    body = connection.execute(select(jobs.c.body).where(where)).scalar()
    return load(Job, body) if body is not None else None


def get_job(connection: Connection, name: JobName) -> Job:
    """A job. Raises `NotFound`."""
    found = find_job(connection, name)
    if found is None:
        raise absent(str(name))
    return found


def add_job(connection: Connection, job: Job) -> None:
    """Queues a new job. Raises `AlreadyExists`."""
    name = JobName.parse(job.name)
    if find_job(connection, name) is not None:
        raise AlreadyExists("RESOURCE_EXISTS", f"{job.name} exists", hint="take a new job id")
    connection.execute(insert(jobs).values(tenant=name.tenant, id=name.id, state=job.state.value, body=dump(job)))
    record(connection, job, job.create_time)


def save_job(connection: Connection, job: Job) -> None:
    """Replaces a stored job."""
    name = JobName.parse(job.name)
    where = (jobs.c.tenant == name.tenant) & (jobs.c.id == name.id)
    connection.execute(update(jobs).where(where).values(state=job.state.value, body=dump(job)))


def record(connection: Connection, job: Job, now: datetime) -> None:
    """Appends the job as it is now to its history."""
    append_event(connection, job.name, Event(0, now, changed=job))


def append_event(connection: Connection, job: str, event: Event) -> None:
    """Appends an event under the next sequence number."""
    name = JobName.parse(job)
    where = (events.c.tenant == name.tenant) & (events.c.job == name.id)
    sequence = (connection.execute(select(func.max(events.c.sequence)).where(where)).scalar() or 0) + 1
    body = dump(dataclasses.replace(event, sequence=sequence))
    connection.execute(insert(events).values(tenant=name.tenant, job=name.id, sequence=sequence, body=body))


def events_after(connection: Connection, name: JobName, sequence: int, limit: int = 500) -> list[Event]:
    """Events with a greater sequence number, in order."""
    rows = connection.execute(
        select(events.c.body)
        .where((events.c.tenant == name.tenant) & (events.c.job == name.id) & (events.c.sequence > sequence))
        .order_by(events.c.sequence)
        .limit(limit)
    ).scalars()
    return [load(Event, body) for body in rows]


def jobs_in(connection: Connection, *states: JobState) -> list[Job]:
    """Jobs in any of these states, oldest first."""
    rows = connection.execute(
        select(jobs.c.body).where(jobs.c.state.in_([s.value for s in states])).order_by(jobs.c.number)
    ).scalars()
    return [load(Job, body) for body in rows]


def count_jobs(connection: Connection) -> dict[JobState, int]:
    """How many jobs are in each state; one without any is left out."""
    rows = connection.execute(select(jobs.c.state, func.count()).group_by(jobs.c.state)).all()
    return {JobState(state): count for state, count in rows}


def count_waiting(connection: Connection, tenant: str) -> tuple[int, int]:
    """How many jobs wait or are paused of a tenant, and how many wait of all."""
    query = select(func.count()).select_from(jobs)
    own = query.where(jobs.c.state.in_([state.value for state in HELD]), jobs.c.tenant == tenant)
    every = query.where(jobs.c.state.in_([state.value for state in WAITING]))
    return connection.execute(own).scalar_one(), connection.execute(every).scalar_one()


def jobs_of_adapter(connection: Connection, adapter: AdapterName) -> list[Job]:
    """Every job that was to make a revision of an adapter, newest first."""
    # A text of the caller's that says the same is stored with its quotes escaped.
    named = jobs.c.body.contains(f'"adapter":"{adapter}"', autoescape=True)
    query = select(jobs.c.body).where(jobs.c.tenant == adapter.tenant, named).order_by(jobs.c.number.desc())
    return [load(Job, body) for body in connection.execute(query).scalars()]


def list_jobs(connection: Connection, tenant: str, page: Page) -> tuple[list[Job], str]:
    """One page, newest first, with the token of the next."""
    before = page.number()
    query = select(jobs.c.number, jobs.c.body).where(jobs.c.tenant == tenant)
    if before:
        query = query.where(jobs.c.number < before)
    rows = connection.execute(query.order_by(jobs.c.number.desc()).limit(page.size + 1)).all()
    taken = rows[: page.size]
    token = page.numbered_token(taken[-1].number) if len(rows) > page.size else ""
    return [load(Job, row.body) for row in taken], token
