"""Jobs that are taken and wait: a server that runs none."""

from __future__ import annotations

import uuid

import grpc
import pytest

from goldsmith.trainer.v1 import golden_dataset_pb2, training_job_pb2, training_service_pb2, training_service_pb2_grpc
from shared.client import TrainerClient
from shared.client.channel import domain_errors
from shared.errors import AlreadyExists, InvalidInput, StateConflict
from tests.integration.trainer.house import TENANT

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def dataset(trainer: TrainerClient) -> str:
    """An active dataset; two of its rows break the contract and were excluded."""
    name = f"{TENANT}/datasets/golden"
    trainer.create_dataset(name, golden_dataset_pb2.GoldenDataset(contract=f"{TENANT}/contracts/answer"))
    rows = [b'{"input":"row %d","output":{"n":%d}}' % (i, i % 10 if i > 1 else 99) for i in range(40)]
    sealed = trainer.upload(name, b"\n".join(rows), golden_dataset_pb2.INVALID_ROW_POLICY_EXCLUDE)
    assert sealed.state == golden_dataset_pb2.GOLDEN_DATASET_STATE_ACTIVE
    assert (sealed.report.row_count, sealed.report.invalid_count) == (40, 2)
    assert sealed.report.train_count + sealed.report.holdout_count == 38
    return name


class TestJobs:
    """Jobs in the queue."""

    def test_a_request_id_queues_once(self, channel: grpc.Channel, dataset: str) -> None:
        """The repeat gets the same job; the id with other settings, and the name without the id, are refused."""
        stub = training_service_pb2_grpc.TrainingServiceStub(channel)
        request = training_service_pb2.CreateTrainingJobRequest(
            parent=TENANT,
            job_id="once",
            job=training_job_pb2.TrainingJob(dataset=dataset, adapter=f"{TENANT}/adapters/a"),
            request_id=str(uuid.uuid4()),
        )

        first, second = stub.CreateTrainingJob(request, timeout=10), stub.CreateTrainingJob(request, timeout=10)

        assert first == second
        assert (first.state, first.alias_id) == (training_job_pb2.TRAINING_JOB_STATE_PENDING, "live")
        request.job.spec.rank = 8
        with pytest.raises(InvalidInput) as caught, domain_errors():
            stub.CreateTrainingJob(request, timeout=10)
        assert caught.value.reason == "REQUEST_ID_REUSED"
        request.request_id = ""
        with pytest.raises(AlreadyExists), domain_errors():
            stub.CreateTrainingJob(request, timeout=10)

    def test_a_job_that_is_not_queued_yet_cannot_be_paused(self, trainer: TrainerClient, dataset: str) -> None:
        """The error names the state; to resume what is not paused changes nothing."""
        name = f"{TENANT}/jobs/pending"
        job = training_job_pb2.TrainingJob(
            dataset=dataset, adapter=f"{TENANT}/adapters/a", priority=training_job_pb2.TRAINING_PRIORITY_LOW
        )
        created = trainer.train(name, job)

        with pytest.raises(StateConflict) as caught:
            trainer.pause(name)

        assert caught.value.metadata["state"] == "pending"
        assert created.priority == training_job_pb2.TRAINING_PRIORITY_LOW
        assert trainer.resume(name) == created

    def test_a_cancelled_job_can_be_watched_from_any_place(self, trainer: TrainerClient, dataset: str) -> None:
        """Cancelling twice is cancelling once; the history replays after a sequence and ends with the final state."""
        name = f"{TENANT}/jobs/cancelled"
        trainer.train(name, training_job_pb2.TrainingJob(dataset=dataset, adapter=f"{TENANT}/adapters/a"))

        cancelled = trainer.cancel(name)

        assert cancelled.state == training_job_pb2.TRAINING_JOB_STATE_CANCELLED
        assert trainer.cancel(name) == cancelled
        whole = list(trainer.watch(name))
        assert [(event.sequence, event.changed.state) for event in whole] == [
            (1, training_job_pb2.TRAINING_JOB_STATE_PENDING),
            (2, training_job_pb2.TRAINING_JOB_STATE_CANCELLED),
        ]
        assert list(trainer.watch(name, after_sequence=1)) == whole[1:]
        assert list(trainer.watch(name, after_sequence=2)) == []

    def test_come_newest_first_in_pages(self, trainer: TrainerClient, channel: grpc.Channel, dataset: str) -> None:
        """Pages join to the list; jobs that come meanwhile shift nothing."""
        job = training_job_pb2.TrainingJob(dataset=dataset, adapter=f"{TENANT}/adapters/a")
        stub = training_service_pb2_grpc.TrainingServiceStub(channel)
        for number in range(3):
            trainer.train(f"{TENANT}/jobs/page-{number}", job)

        request = training_service_pb2.ListTrainingJobsRequest(parent=TENANT, page_size=2)
        first = stub.ListTrainingJobs(request, timeout=10)
        trainer.train(f"{TENANT}/jobs/page-3", job)
        request.page_token = first.next_page_token
        second = stub.ListTrainingJobs(request, timeout=10)

        names = [listed.name.rsplit("/", 1)[1] for listed in (*first.jobs, *second.jobs)]
        assert names[:3] == ["page-2", "page-1", "page-0"]
        request.page_token = "b25jZQ=="
        with pytest.raises(InvalidInput), domain_errors():
            stub.ListTrainingJobs(request, timeout=10)
