"""What went into an adapter."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from shared.errors import NotFound
from shared.names import AdapterName, RevisionName
from shared.testing import ManualClock
from trainer_svc.app.adapter_history import history_of_adapter, labelled_datasets, lineage_of_revision
from trainer_svc.domain.curation import CurationStep, Lineage
from trainer_svc.domain.dataset import Dataset
from trainer_svc.domain.job import Job, JobSpec, JobState
from trainer_svc.domain.registry import Revision
from trainer_svc.domain.teacher import Labelling, TeacherKind, TeacherSettings
from trainer_svc.store import catalog, history, shelf

Transact = Callable[[Callable[..., Any]], Any]
NOW, ZERO = ManualClock().now(), "sha256:" + "0" * 64
ADAPTER = AdapterName("acme", "answer")
CONTRACT = "tenants/acme/contracts/c"


def _job(name: str, dataset: str = "d", *, base_revision: int = 0, adapter: str = "answer") -> Job:
    own = f"tenants/acme/adapters/{adapter}"
    return Job(
        f"tenants/acme/jobs/{name}", f"tenants/acme/datasets/{dataset}", own, "live", JobSpec(), NOW,
        state=JobState.SUCCEEDED, base_revision=f"{own}/revisions/{base_revision}" if base_revision else "",
    )  # fmt: skip


def _dataset(name: str, *, answers: int = 0, source: str = "") -> Dataset:
    settings = TeacherSettings("large")
    found = Dataset(f"tenants/acme/datasets/{name}", CONTRACT, "", "", NOW)
    if answers:
        labels = Labelling(settings, TeacherKind.OPENAI, ("m",), ZERO, ZERO, answers)
        found = dataclasses.replace(found, teacher=settings, labelling=labels)
    if source:
        steps = (CurationStep.UNICODE_NFC,)
        found = dataclasses.replace(found, lineage=Lineage(f"tenants/acme/datasets/{source}", ZERO, steps, ZERO))
    return found


def _publish(connection: Connection, job: str, adapter: AdapterName = ADAPTER) -> Revision:
    revision = Revision("", ZERO, (), f"tenants/acme/jobs/{job}", CONTRACT, ZERO, NOW)
    return shelf.add_revision(connection, adapter, revision)


class TestLineage:
    """The jobs behind a revision."""

    def test_goes_back_to_the_first_weights(self, transact: Transact) -> None:
        """Newest first; jobs of revisions that it did not begin with are not in it."""

        def work(connection: Connection) -> tuple[list[Job], list[str]]:
            for job in (_job("a"), _job("b"), _job("c", base_revision=1), _job("d", base_revision=3)):
                history.add_job(connection, job)
            revisions = [_publish(connection, name) for name in "abcd"]
            return lineage_of_revision(connection, revisions[-1])

        jobs, missing = transact(work)
        assert [job.name[-1] for job in jobs] == ["d", "c", "a"]
        assert missing == []

    def test_names_a_job_that_is_not_stored(self, transact: Transact) -> None:
        """What came before it is not known either."""

        def work(connection: Connection) -> tuple[list[Job], list[str]]:
            history.add_job(connection, _job("b", base_revision=1))
            _publish(connection, "gone")
            _publish(connection, "b")
            return lineage_of_revision(connection, shelf.get_revision(connection, RevisionName("acme", "answer", 2)))

        jobs, missing = transact(work)
        assert ([job.name[-1] for job in jobs], missing) == (["b"], ["tenants/acme/jobs/gone"])


class TestHistory:
    """What an adapter cost."""

    def test_holds_what_its_revisions_began_with(self, transact: Transact) -> None:
        """Of another adapter, too, but not the rest of that one; jobs that no worker was at are no cost."""

        def work(connection: Connection) -> tuple[list[Job], list[str]]:
            started = [
                _job("a", adapter="other"), _job("b", adapter="other"),
                dataclasses.replace(_job("c"), base_revision="tenants/acme/adapters/other/revisions/1", attempt=1),
                dataclasses.replace(_job("d"), state=JobState.FAILED, attempt=1), _job("e"),
            ]  # fmt: skip
            for second, job in enumerate(started):
                history.add_job(connection, dataclasses.replace(job, create_time=NOW + timedelta(seconds=second)))
            _publish(connection, "a", AdapterName("acme", "other"))
            _publish(connection, "b", AdapterName("acme", "other"))
            _publish(connection, "c")
            return history_of_adapter(connection, ADAPTER)

        jobs, missing = transact(work)
        assert ([job.name[-1] for job in jobs], missing) == (["d", "c", "a"], [])

    def test_names_jobs_that_are_not_stored(self, transact: Transact) -> None:
        """A revision whose job is gone cost something, and nobody knows what."""

        def work(connection: Connection) -> tuple[list[Job], list[str]]:
            _publish(connection, "gone")
            return history_of_adapter(connection, ADAPTER)

        assert transact(work) == ([], ["tenants/acme/jobs/gone"])

    def test_of_nothing_is_not_there(self, transact: Transact) -> None:
        """Neither a job nor a revision: somebody mistook the name."""
        with pytest.raises(NotFound):
            transact(lambda c: history_of_adapter(c, ADAPTER))


class TestLabels:
    """Datasets with a teacher's labels."""

    def test_count_once_and_through_every_curation(self, transact: Transact) -> None:
        """Two jobs on one dataset, and one on a dataset that was made of it, have the labels in common."""

        def work(connection: Connection) -> tuple[list[tuple[str, str, int]], list[str]]:
            for dataset in (_dataset("d", answers=30), _dataset("e", source="d"), _dataset("f", source="e", answers=4)):
                catalog.add_dataset(connection, dataset)
            return labelled_datasets(connection, [_job("a"), _job("b"), _job("c", "f")])

        labels, missing = transact(work)
        assert labels == [("tenants/acme/datasets/d", "large", 30), ("tenants/acme/datasets/f", "large", 4)]
        assert missing == []

    def test_name_a_dataset_that_is_not_stored(self, transact: Transact) -> None:
        """It may have had any number of labels."""
        assert transact(lambda c: labelled_datasets(c, [_job("a", "gone")])) == ([], ["tenants/acme/datasets/gone"])


class TestJobsOfAdapter:
    """`history.jobs_of_adapter`."""

    def test_are_those_of_this_adapter_alone(self, transact: Transact) -> None:
        """Newest first; one whose name begins alike, or that only mentions it, is another's."""

        def work(connection: Connection) -> list[Job]:
            mentions = dataclasses.replace(
                _job("d", adapter="other"), base_revision=f'x"adapter":"{ADAPTER}"', alias_id=str(ADAPTER)
            )
            for job in (_job("a"), _job("b", adapter="answer-2"), _job("c"), mentions):
                history.add_job(connection, job)
            return history.jobs_of_adapter(connection, ADAPTER)

        assert [job.name[-1] for job in transact(work)] == ["c", "a"]
