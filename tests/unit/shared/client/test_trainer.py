"""What the trainer's client asks for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from goldsmith.trainer.v1 import dataset_service_pb2 as pb
from goldsmith.trainer.v1 import golden_dataset_pb2
from shared.client import TrainerClient

NAME = "tenants/acme/datasets/golden"
COUNT = 2_500


class FakeDatasets:
    """A dataset with as many findings and changes, in pages as the contract has them."""

    def __init__(self) -> None:
        self.calls = 0
        self.curations: list[tuple[str, float]] = []

    def CurateGoldenDataset(  # noqa: N802 - gRPC's
        self, request: pb.CurateGoldenDatasetRequest, *, timeout: float, **_: object
    ) -> golden_dataset_pb2.GoldenDataset:
        """Makes nothing; keeps the request's id and deadline."""
        self.curations.append((request.request_id, timeout))
        return golden_dataset_pb2.GoldenDataset()

    def ListDatasetFindings(self, request: pb.ListDatasetFindingsRequest, **_: object) -> object:  # noqa: N802 - gRPC's
        """One page."""
        rows, token = self._page(request.page_size, request.page_token)
        findings = [golden_dataset_pb2.DatasetFinding(row_number=row) for row in rows]
        return pb.ListDatasetFindingsResponse(findings=findings, next_page_token=token)

    def ListDatasetChanges(self, request: pb.ListDatasetChangesRequest, **_: object) -> object:  # noqa: N802 - gRPC's
        """One page."""
        rows, token = self._page(request.page_size, request.page_token)
        changes = [golden_dataset_pb2.DatasetChange(row_number=row) for row in rows]
        return pb.ListDatasetChangesResponse(changes=changes, next_page_token=token)

    def _page(self, size: int, token: str) -> tuple[range, str]:
        self.calls += 1
        begin = int(token or 0)
        end = begin + min(size or 50, 1_000)
        return range(begin, min(end, COUNT)), str(end) if end < COUNT else ""


@pytest.fixture
def trainer() -> Iterator[TrainerClient]:
    """A client that asks the fake; the address is never connected to."""
    with TrainerClient("127.0.0.1:1") as client:
        client._datasets = FakeDatasets()  # type: ignore[assignment] # the seam to the wire
        yield client


class TestLists:
    """Lists of a dataset that may be long."""

    @pytest.mark.parametrize("method", ["findings", "changes"])
    def test_asks_for_pages_as_large_as_there_are(self, trainer: TrainerClient, method: str) -> None:
        """A page costs the trainer a read of the whole list: 2,500 entries come in three."""
        listed = getattr(trainer, method)(NAME)

        assert [entry.row_number for entry in listed] == list(range(COUNT))
        assert trainer._datasets.calls == 3


class TestCurate:
    """A curation may take long."""

    def test_a_repeat_says_that_it_is_one(self, trainer: TrainerClient) -> None:
        """By the id that the caller gives; else each call has its own."""
        steps, own = [golden_dataset_pb2.CURATION_STEP_UNICODE_NFC], str(uuid.uuid4())
        for request_id in (own, own, "", ""):
            trainer.curate("tenants/acme/datasets/new", NAME, steps, request_id=request_id)

        ids = [request_id for request_id, _ in trainer._datasets.curations]
        assert ids[:2] == [own, own]
        assert len({uuid.UUID(request_id) for request_id in ids}) == 3

    def test_waits_for_longer_than_the_server_works(self, trainer: TrainerClient) -> None:
        """900 s of processor time, and as much for one that comes first."""
        trainer.curate("tenants/acme/datasets/new", NAME, [golden_dataset_pb2.CURATION_STEP_REPLACE_PERSONAL_DATA])

        assert trainer._datasets.curations[0][1] >= 2 * 900
