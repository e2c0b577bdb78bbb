"""What went into an adapter: the jobs behind a revision, and the labels that they were trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from shared.names import AdapterName, DatasetName, JobName, RevisionName, absent
from shared.rpc.page import MAX_SIZE, Page
from trainer_svc.domain.job import Job
from trainer_svc.domain.registry import Revision
from trainer_svc.store import catalog, history, shelf


def history_of_adapter(connection: Connection, adapter: AdapterName) -> tuple[list[Job], list[str]]:
    """Every job of an adapter that a worker was at, and all that is behind its revisions, newest first.

    That includes jobs of other adapters, where a revision began with one of theirs: no adapter costs less than one of
    its revisions. Also the names of jobs that are not stored. Raises `NotFound` for an adapter that has neither a job
    nor a revision.
    """
    own = history.jobs_of_adapter(connection, adapter)
    published = list(_revisions(connection, adapter))
    if not own and not published:
        raise absent(str(adapter))
    found, missing = {job.name: job for job in own if job.attempt}, set[str]()
    for revision in published:
        behind, unknown = lineage_of_revision(connection, revision)
        found.update((job.name, job) for job in behind)
        missing.update(unknown)
    return sorted(found.values(), key=lambda job: job.create_time, reverse=True), sorted(missing)


def _revisions(connection: Connection, adapter: AdapterName) -> Iterator[Revision]:
    token = ""
    while True:
        some, token = shelf.list_revisions(connection, adapter, Page.parse(MAX_SIZE, token))
        yield from some
        if not token:
            return


def lineage_of_revision(connection: Connection, revision: Revision) -> tuple[list[Job], list[str]]:
    """The job that made a revision and those of the revisions that it began with, newest first.

    Also the names of jobs that are not stored; what came before such a one is not known.
    """
    found: dict[str, Job] = {}
    current: Revision | None = revision
    while current is not None and current.training_job not in found:
        job = history.find_job(connection, JobName.parse(current.training_job))
        if job is None:
            return list(found.values()), [current.training_job]
        found[job.name] = job
        start = RevisionName.parse(job.base_revision) if job.base_revision else None
        current = shelf.find_revision(connection, start) if start else None
    return list(found.values()), []


def labelled_datasets(connection: Connection, jobs: Sequence[Job]) -> tuple[list[tuple[str, str, int]], list[str]]:
    """Name, teacher and number of answers of each dataset with labels that these jobs were trained on, by name.

    Datasets that those were made from count, too. Also the names of datasets that are not stored.
    """
    waiting, seen = [job.dataset for job in jobs], set[str]()
    labelled, missing = [], []
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        dataset = catalog.find_dataset(connection, DatasetName.parse(name))
        if dataset is None:
            missing.append(name)
            continue
        if dataset.labelling is not None:
            labelled.append((name, dataset.labelling.settings.teacher, dataset.labelling.answer_count))
        if dataset.lineage is not None:
            waiting.append(dataset.lineage.source)
    return sorted(labelled), sorted(missing)
