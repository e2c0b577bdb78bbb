"""Uploads to the trainer, from the first chunk to the report."""

from __future__ import annotations

import hashlib
import io
import uuid

import grpc
import pyarrow as pa
import pytest
from pyarrow import parquet

from goldsmith.trainer.v1 import dataset_service_pb2 as dataset_pb
from goldsmith.trainer.v1 import dataset_service_pb2_grpc, golden_dataset_pb2, training_job_pb2
from shared.client import TrainerClient
from shared.client.channel import domain_errors
from shared.errors import Conflict, InvalidInput, OutOfRange, StateConflict
from tests.integration.trainer.house import TENANT, golden_rows

pytestmark = pytest.mark.timeout(120)


class TestUpload:
    """Chunks, seal and check."""

    def test_resumes_and_seals_by_digest(self, trainer: TrainerClient, channel: grpc.Channel, dataset: str) -> None:
        """A gap names the next offset, other bytes are refused, a wrong digest seals nothing, sealing twice is once."""
        stub, data = dataset_service_pb2_grpc.DatasetServiceStub(channel), golden_rows()

        def upload(offset: int, chunk: bytes) -> int:
            request = dataset_pb.UploadDatasetChunkRequest(name=dataset, offset=offset, data=chunk)
            with domain_errors():
                return stub.UploadDatasetChunk(request, timeout=10).next_offset

        assert upload(0, data[:100]) == 100
        assert upload(0, data[:100]) == 100
        with pytest.raises(OutOfRange) as gap:
            upload(200, data[200:])
        with pytest.raises(Conflict):
            upload(0, b"x" * 10)
        seal = dataset_pb.SealGoldenDatasetRequest(name=dataset, size_bytes=len(data), digest="sha256:" + "0" * 64)
        with pytest.raises(StateConflict) as early, domain_errors():
            stub.SealGoldenDataset(seal, timeout=30)

        sealed = trainer.upload(dataset, data)

        assert gap.value.metadata["next_offset"] == "100"
        assert early.value.reason == "DIGEST_DIFFERS"
        assert sealed.state == golden_dataset_pb2.GOLDEN_DATASET_STATE_ACTIVE
        assert sealed.digest == "sha256:" + hashlib.sha256(data).hexdigest()
        assert (sealed.report.train_count, sealed.report.holdout_count) == (36, 4)
        assert sealed.report.token_lengths.row_count == 40
        assert 0 < sealed.report.token_lengths.total.p50 <= sealed.report.token_lengths.total.max < 512
        assert trainer.upload(dataset, data) == sealed
        with pytest.raises(StateConflict):
            upload(len(data), b"more")

    def test_findings_come_by_row_in_pages(self, trainer: TrainerClient, channel: grpc.Channel, dataset: str) -> None:
        """Every bad row is listed once, in order, whatever the page size."""
        lines = golden_rows(40).splitlines()
        bad = [3, 7, 11, 19]
        for number in bad:
            lines[number - 1] = b'{"input":"x","output":{"n":"no"}}'
        sealed = trainer.upload(dataset, b"\n".join(lines))
        stub, numbers, token = dataset_service_pb2_grpc.DatasetServiceStub(channel), [], ""
        while True:
            request = dataset_pb.ListDatasetFindingsRequest(parent=dataset, page_size=3, page_token=token)
            page = stub.ListDatasetFindings(request, timeout=10)
            numbers += [finding.row_number for finding in page.findings if finding.blocking]
            token = page.next_page_token
            if not token:
                break

        assert sealed.state == golden_dataset_pb2.GOLDEN_DATASET_STATE_FAILED
        assert numbers == bad
        job = training_job_pb2.TrainingJob(dataset=dataset, adapter=f"{TENANT}/adapters/a")
        with pytest.raises(StateConflict):
            trainer.train(f"{TENANT}/jobs/too-early", job)

    @pytest.mark.usefixtures("trainer")
    def test_a_request_id_creates_once(self, channel: grpc.Channel) -> None:
        """The repeat gets the first answer; the id with another payload is refused."""
        stub = dataset_service_pb2_grpc.DatasetServiceStub(channel)
        request = dataset_pb.CreateGoldenDatasetRequest(
            parent=TENANT,
            dataset_id="once",
            dataset=golden_dataset_pb2.GoldenDataset(contract=f"{TENANT}/contracts/answer"),
            request_id=str(uuid.uuid4()),
        )

        first, second = stub.CreateGoldenDataset(request, timeout=10), stub.CreateGoldenDataset(request, timeout=10)

        assert first == second
        request.dataset_id = "twice"
        with pytest.raises(InvalidInput) as caught, domain_errors():
            stub.CreateGoldenDataset(request, timeout=10)
        assert caught.value.reason == "REQUEST_ID_REUSED"


class TestFormats:
    """Uploads that are not JSON Lines."""

    @pytest.mark.parametrize("name", ["CSV", "PARQUET"])
    def test_are_read_as_the_dataset_says(self, trainer: TrainerClient, name: str) -> None:
        """And shown with it."""
        kind = golden_dataset_pb2.GoldenDatasetFormat.Value(f"GOLDEN_DATASET_FORMAT_{name}")
        golden = golden_dataset_pb2.GoldenDataset(contract=f"{TENANT}/contracts/answer", format=kind)
        table = pa.table({"input": [f"row {i}" for i in range(40)], "output": [{"n": i % 10} for i in range(40)]})
        file = io.BytesIO()
        parquet.write_table(table, file)
        csv = "output,input\n" + "".join(f'"{{""n"":{i % 10}}}",row {i}\n' for i in range(40))
        dataset = trainer.create_dataset(f"{TENANT}/datasets/d-{uuid.uuid4().hex[:8]}", golden).name

        sealed = trainer.upload(dataset, file.getvalue() if name == "PARQUET" else csv.encode())

        assert sealed.state == golden_dataset_pb2.GOLDEN_DATASET_STATE_ACTIVE
        assert sealed.format == kind
        assert (sealed.report.train_count, sealed.report.holdout_count) == (36, 4)
