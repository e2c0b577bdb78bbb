"""What the trainer's client asks for."""

from __future__ import annotations

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
