"""One running trainer for all tests of this folder, and the ways to ask it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from goldsmith.trainer.v1 import golden_dataset_pb2
from shared.client import TrainerClient
from tests.integration.trainer.house import SCHEMA, TENANT
from tests.trainer_process import trainer_process


@pytest.fixture(scope="package")
def address(tiny_base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A trainer that runs no job."""
    folder = tmp_path_factory.mktemp("trainer")
    process = trainer_process(folder, tiny_base_folder, parallel_jobs="0")
    with process:
        yield process.wait_ready(60)
    assert process.process.returncode == 0, (folder / "log").read_text()[-2000:]


@pytest.fixture(scope="package")
def trainer(address: str) -> Iterator[TrainerClient]:
    """The typed client."""
    with TrainerClient(address) as client:
        client.create_contract(f"{TENANT}/contracts/answer", json_schema=SCHEMA)
        yield client


@pytest.fixture(scope="package")
def channel(address: str) -> Iterator[grpc.Channel]:
    """For what the client does not offer."""
    with grpc.insecure_channel(address) as own:
        yield own


@pytest.fixture
def dataset(trainer: TrainerClient) -> str:
    """A new dataset, importing."""
    golden = golden_dataset_pb2.GoldenDataset(contract=f"{TENANT}/contracts/answer")
    return trainer.create_dataset(f"{TENANT}/datasets/d-{uuid.uuid4().hex[:8]}", golden).name
