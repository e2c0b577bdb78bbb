"""What an attack is, and the house it is tried on."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc

from goldsmith.trainer.v1 import dataset_service_pb2 as pb
from goldsmith.trainer.v1 import dataset_service_pb2_grpc
from goldsmith.trainer.v1 import golden_dataset_pb2 as golden
from shared.client import TrainerClient
from shared.client.channel import domain_errors
from shared.errors import DomainError

TENANT = "tenants/acme"
CONTRACT = f"{TENANT}/contracts/answer"
SCHEMA = '{"type":"object","properties":{"n":{"type":"integer","minimum":0,"maximum":9}},"required":["n"]}'
ACTIVE, TOO_SMALL = "ACTIVE", "FAILED DATASET_TOO_SMALL"
ROW = 5
"""Where the hostile row of a file stands, in lines."""


class Room:
    """A trainer service with one contract, and one tenant who calls it."""

    def __init__(self, address: str) -> None:
        self.trainer, self._channel = TrainerClient(address), grpc.insecure_channel(address)
        self.stub = dataset_service_pb2_grpc.DatasetServiceStub(self._channel)
        self.trainer.create_contract(CONTRACT, json_schema=SCHEMA)

    def close(self) -> None:
        """Ends both connections."""
        self.trainer.close()
        self._channel.close()

    def create(self, format_: golden.GoldenDatasetFormat.ValueType = golden.GOLDEN_DATASET_FORMAT_JSONL) -> str:
        """A new dataset, importing."""
        name = f"{TENANT}/datasets/d-{uuid.uuid4().hex[:12]}"
        return self.trainer.create_dataset(name, golden.GoldenDataset(contract=CONTRACT, format=format_)).name

    def put(self, name: str, data: bytes, offset: int = 0) -> int:
        """One chunk; the next offset."""
        request = pb.UploadDatasetChunkRequest(name=name, offset=offset, data=data)
        with domain_errors():
            return self.stub.UploadDatasetChunk(request, timeout=60).next_offset

    def seal(self, name: str, data: bytes, *, size: int | None = None, digest: str | None = None) -> str:
        """Closes an upload; the outcome."""
        request = pb.SealGoldenDatasetRequest(
            name=name,
            size_bytes=len(data) if size is None else size,
            digest=f"sha256:{hashlib.sha256(data).hexdigest()}" if digest is None else digest,
        )
        with domain_errors():
            return self.outcome(self.stub.SealGoldenDataset(request, timeout=300))

    def outcome(self, dataset: golden.GoldenDataset) -> str:
        """The state, and of a dataset that failed its first fault."""
        state = golden.GoldenDatasetState.Name(dataset.state).removeprefix("GOLDEN_DATASET_STATE_")
        if state != "FAILED":
            return state
        faults = [finding for finding in self.trainer.findings(dataset.name) if finding.blocking]
        first = next((fault for fault in faults if fault.reason != "DATASET_TOO_SMALL"), faults[0])
        if first.reason == "DATASET_TOO_SMALL":
            return TOO_SMALL
        return f"FAILED {first.reason} {first.path.partition('#')[0]}"


@dataclass(frozen=True)
class Attack:
    """One thing to try, and what must come of it: a state with a finding, or a class of errors with a reason."""

    name: str
    expected: str
    act: Callable[[Room], str]

    def outcome(self, room: Room) -> str:
        """What came of it."""
        try:
            return self.act(room)
        except DomainError as err:
            return f"{type(err).__name__} {err.reason}"


def file_attack(
    name: str,
    expected: str,
    make: Callable[[], bytes],
    format_: golden.GoldenDatasetFormat.ValueType = golden.GOLDEN_DATASET_FORMAT_JSONL,
) -> Attack:
    """A file that is sent as a client would and sealed."""

    def act(room: Room) -> str:
        return room.outcome(room.trainer.upload(room.create(format_), make()))

    return Attack(name, expected, act)


def good_rows(count: int = 40) -> Iterator[tuple[str, str]]:
    """Inputs and outputs that keep the contract."""
    return ((f"row {number}", json.dumps({"n": number % 10})) for number in range(count))


def row_fault(reason: str, field: str = "", row: int = ROW) -> str:
    """The outcome of a file with one bad row."""
    return f"FAILED {reason} rows[{row}]" + (f".{field}" if field else "")
