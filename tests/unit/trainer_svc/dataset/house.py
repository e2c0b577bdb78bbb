"""Golden datasets from the first byte to the report, without a socket; and a check of them that waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from shared.contracts.spec import ContractKind, ContractSpec
from shared.digest import sha256_bytes
from shared.names import DatasetName
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from trainer_svc.app import datasets as module
from trainer_svc.app.datasets import Datasets
from trainer_svc.app.sweeper import Sweeper
from trainer_svc.app.upload import Uploads
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.domain.dataset import Dataset, DatasetFormat, InvalidRowPolicy
from trainer_svc.domain.registry import Contract
from trainer_svc.store import catalog
from trainer_svc.store.database import Database

Result = TypeVar("Result")
SPEC = ContractSpec(ContractKind.JSON, json_schema='{"type":"boolean"}')
NAME = DatasetName("acme", "d")
DATA = b"".join(b'{"input":"row %d","output":true}\n' % number for number in range(40))
RETENTION_HOURS = 10


class House:
    """The use cases over stores in a folder; its clock begins now, as that of the file system does."""

    def __init__(self, folder: Path, database: Database, compiler: ExampleCompiler) -> None:
        self.database, self.clock, self.compiler = database, ManualClock(datetime.now(UTC)), compiler
        self.uploads = Uploads(folder / "uploads")
        blobs = LocalBlobStore(folder / "blobs")
        self.datasets = Datasets(database, self.uploads, blobs, self.clock, compiler=compiler)
        self.sweeper = Sweeper(self.datasets, self.uploads, self.clock, retention_hours=RETENTION_HOURS)

    def run(self, act: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Runs with the contract there."""
        stored = Contract(
            "tenants/acme/contracts/c", SPEC.canonical().decode(), SPEC.digest, 1, 1, (), self.clock.now()
        )

        async def life() -> Result:
            await self.database.run(lambda connection: catalog.add_contract(connection, stored))
            async with asyncio.timeout(30):
                return await act()

        return asyncio.run(life())

    async def create(
        self, format_: DatasetFormat = DatasetFormat.JSONL, request_id: str = "", split_seed: int = 0,
        name: DatasetName = NAME,
    ) -> Dataset:  # fmt: skip
        """A new dataset."""
        now = self.clock.now()
        new = Dataset(str(name), "tenants/acme/contracts/c", "", "", now, format=format_, split_seed=split_seed)
        return await self.datasets.create(new, request_id)

    async def seal(self, data: bytes, policy: InvalidRowPolicy = InvalidRowPolicy.REFUSE) -> Dataset:
        """Closes the upload."""
        return await self.datasets.seal(NAME, len(data), sha256_bytes(data), policy)

    def files(self) -> list[Path]:
        """What lies in the folder of uploads."""
        return [path for path in self.uploads.scratch.parent.rglob("*") if path.is_file()]


class SlowCheck:
    """Stands for the check: counts its calls, and waits for the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls, self.go, self.began = 0, threading.Event(), threading.Event()
        self._check = module.check
        monkeypatch.setattr(module, "check", self)

    def __call__(self, *args: Any, **options: Any) -> Any:  # Any: as the function's
        """Checks when it is told to."""
        self.calls += 1
        self.began.set()
        assert self.go.wait(20)
        return self._check(*args, **options)
