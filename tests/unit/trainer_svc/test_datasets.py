"""Golden datasets from the first byte to the report, without a socket."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from shared.contracts.spec import ContractKind, ContractSpec
from shared.digest import sha256_bytes
from shared.errors import Exhausted, InvalidInput, NotFound, StateConflict
from shared.names import DatasetName
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from trainer_svc.app import datasets as module
from trainer_svc.app.datasets import Datasets
from trainer_svc.app.sweeper import Sweeper
from trainer_svc.app.upload import Uploads
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.domain.dataset import Dataset, DatasetFormat, DatasetState, InvalidRowPolicy
from trainer_svc.domain.registry import Contract
from trainer_svc.store import catalog
from trainer_svc.store.database import Database

Result = TypeVar("Result")
SPEC = ContractSpec(ContractKind.JSON, json_schema='{"type":"boolean"}')
NAME = DatasetName("acme", "d")
DATA = b"".join(b'{"input":"row %d","output":true}\n' % number for number in range(40))
CSV = b"output,input\r\n" + b"".join(b"true,row %d\r\n" % number for number in range(40))
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


@pytest.fixture
def house(tmp_path: Path, database: Database, compiler: ExampleCompiler) -> House:
    """Use cases over a temporary folder."""
    return House(tmp_path, database, compiler)


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


class TestCreate:
    """The upload's begin."""

    def test_has_an_end(self, house: House) -> None:
        """A tenant with too many that are not sealed gets no more; another tenant does."""
        blobs = LocalBlobStore(house.uploads.scratch.parent / "blobs")
        datasets = Datasets(
            house.database, house.uploads, blobs, house.clock, compiler=house.compiler, max_unfinished=3
        )

        async def create(tenant: str, number: int) -> None:
            contract = f"tenants/{tenant}/contracts/c"
            stored = Contract(contract, SPEC.canonical().decode(), SPEC.digest, 1, 1, (), house.clock.now())
            await house.database.run(lambda connection: catalog.add_contract(connection, stored))
            name = f"tenants/{tenant}/datasets/d{number}"
            await datasets.create(Dataset(name, contract, '"state":"importing"', "", house.clock.now()), "")

        async def act() -> None:
            for number in range(3):
                await create("acme", number)
            with pytest.raises(Exhausted, match="3 datasets that are not sealed"):
                await create("acme", 3)
            await create("other", 1)
            empty = DatasetName("acme", "d0")
            await datasets.seal(empty, 0, sha256_bytes(b""), InvalidRowPolicy.REFUSE)
            await create("acme", 4)

        house.run(act)

    def test_a_request_is_another_in_another_format(self, house: House) -> None:
        """A request id stands for all that was asked."""

        async def act() -> None:
            await house.create(DatasetFormat.CSV, request_id="once")
            await house.create(DatasetFormat.CSV, request_id="once")
            with pytest.raises(InvalidInput, match="was used with another request"):
                await house.create(DatasetFormat.JSONL, request_id="once")

        house.run(act)

    def test_a_request_is_another_with_another_split_seed(self, house: House) -> None:
        """It decides what is trained on."""

        async def act() -> None:
            first = await house.create(split_seed=7, request_id="once")
            assert await house.create(split_seed=7, request_id="once") == first
            with pytest.raises(InvalidInput, match="was used with another request"):
                await house.create(request_id="once")

        house.run(act)

    def test_a_split_seed_is_0_or_more(self, house: House) -> None:
        """The field is named."""

        async def act() -> None:
            with pytest.raises(InvalidInput, match=r"dataset\.split_seed: must be 0 or more, got -1"):
                await house.create(split_seed=-1)

        house.run(act)


class TestSeal:
    """The upload's end."""

    @pytest.mark.parametrize(("format_", "data"), [(DatasetFormat.JSONL, DATA), (DatasetFormat.CSV, CSV)])
    def test_leaves_rows_and_no_upload(self, house: House, format_: DatasetFormat, data: bytes) -> None:
        """Its bytes go once the rows are stored by digest; sealing again finds the same."""

        async def act() -> tuple[Dataset, Dataset]:
            await house.create(format_)
            await house.datasets.upload(NAME, 0, data)
            return await house.seal(data), await house.seal(data)

        first, second = house.run(act)

        assert (first.state, first.size_bytes, first.digest) == (DatasetState.ACTIVE, len(data), sha256_bytes(data))
        assert second == first
        assert house.files() == []

    def test_of_a_useless_upload_leaves_nothing(self, house: House) -> None:
        """The findings say why."""

        async def act() -> Dataset:
            await house.create()
            await house.datasets.upload(NAME, 0, b"PAR1 no lines at all")
            return await house.seal(b"PAR1 no lines at all", InvalidRowPolicy.EXCLUDE)

        sealed = house.run(act)

        assert sealed.state is DatasetState.FAILED
        assert sealed.report is not None
        assert sealed.report.finding_counts == {"FILE_UNREADABLE": 1}
        assert house.files() == []

    def test_goes_on_when_its_caller_is_gone(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who asks again waits for the same check; who asks with other bytes is refused meanwhile."""
        slow = SlowCheck(monkeypatch)

        async def act() -> Dataset:
            await house.create()
            await house.datasets.upload(NAME, 0, DATA)
            gone = asyncio.create_task(house.seal(DATA))
            await asyncio.to_thread(slow.began.wait)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            with pytest.raises(StateConflict, match="the caller says 4"):
                await house.seal(b"more")
            with pytest.raises(StateConflict, match="is sealed"):
                await house.datasets.upload(NAME, len(DATA), b"more")
            again = asyncio.create_task(house.seal(DATA))
            await asyncio.sleep(0)
            slow.go.set()
            return await again

        assert house.run(act).state is DatasetState.ACTIVE
        assert slow.calls == 1

    def test_a_check_that_was_killed_begins_anew(self, house: House) -> None:
        """The bytes are there until the rows are stored."""

        async def act() -> Dataset:
            created = await house.create()
            await house.datasets.upload(NAME, 0, DATA)
            killed = dataclasses.replace(created, state=DatasetState.VALIDATING, digest=sha256_bytes(DATA))
            await house.database.run(lambda connection: catalog.save_dataset(connection, killed))
            return await house.seal(DATA)

        assert house.run(act).state is DatasetState.ACTIVE

    def test_a_check_that_was_killed_is_taken_up(self, house: House) -> None:
        """At the start of the service: jobs wait for it, whoever sealed the dataset may be gone."""

        async def act() -> Dataset:
            created = await house.create()
            await house.datasets.upload(NAME, 0, DATA)
            killed = dataclasses.replace(created, state=DatasetState.VALIDATING, digest=sha256_bytes(DATA))
            await house.database.run(lambda connection: catalog.save_dataset(connection, killed))
            await house.datasets.take_up()
            while (await house.datasets.get(NAME)).state is DatasetState.VALIDATING:  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0)
            return await house.datasets.get(NAME)

        assert house.run(act).state is DatasetState.ACTIVE


class TestPreview:
    """Looking at single rows."""

    def test_one_is_read_at_a_time(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also when callers hang up: their threads still read."""
        go, lock = threading.Event(), threading.Lock()
        reading, most = 0, 0

        def read(*_: object) -> None:
            nonlocal reading, most
            with lock:
                reading += 1
                most = max(most, reading)
            assert go.wait(20)
            with lock:
                reading -= 1

        async def act() -> None:
            await house.create()
            await house.datasets.upload(NAME, 0, DATA)
            await house.seal(DATA)
            callers = [asyncio.create_task(house.datasets.preview(NAME, 1)) for _ in range(3)]
            while not reading:  # noqa: ASYNC110  # a thread cannot set an event of the loop
                await asyncio.sleep(0)
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
            last = asyncio.create_task(house.datasets.preview(NAME, 1))
            await asyncio.sleep(0)
            go.set()
            with pytest.raises(NotFound):
                await last

        monkeypatch.setattr(module, "preview_row", read)
        house.run(act)

        assert most == 1


class TestSweep:
    """What nobody finishes."""

    def _silent(self, house: House, hours: float) -> None:
        house.clock.advance(timedelta(hours=hours).total_seconds())

    @pytest.mark.parametrize("data", [b"", b"half a row"])
    def test_an_abandoned_upload_leaves_nothing(self, house: House, data: bytes) -> None:
        """No file, no dataset: its id is free again, for a repeated request too."""

        async def act() -> int:
            await house.create(request_id="once")
            if data:
                await house.datasets.upload(NAME, 0, data)
            self._silent(house, RETENTION_HOURS + 1)
            removed = await house.sweeper.sweep()
            with pytest.raises(NotFound):
                await house.datasets.get(NAME)
            await house.create(request_id="once")
            return removed

        assert house.run(act) == 1
        assert house.files() == []

    def test_a_check_that_was_killed_and_never_asked_for_is_abandoned(self, house: House) -> None:
        """Its caller is gone as well."""

        async def act() -> int:
            created = await house.create()
            await house.datasets.upload(NAME, 0, DATA)
            killed = dataclasses.replace(created, state=DatasetState.VALIDATING, digest=sha256_bytes(DATA))
            await house.database.run(lambda connection: catalog.save_dataset(connection, killed))
            self._silent(house, RETENTION_HOURS + 1)
            return await house.sweeper.sweep()

        assert house.run(act) == 1
        assert house.files() == []

    def test_an_upload_that_may_go_on_is_left_alone(self, house: House) -> None:
        """The time counts from its last byte."""

        async def act() -> tuple[int, Dataset]:
            await house.create()
            await house.datasets.upload(NAME, 0, DATA)
            self._silent(house, RETENTION_HOURS - 1)
            return await house.sweeper.sweep(), await house.seal(DATA)

        removed, sealed = house.run(act)

        assert removed == 0
        assert sealed.state is DatasetState.ACTIVE

    def test_a_running_check_is_left_alone(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """However long it takes."""
        slow = SlowCheck(monkeypatch)

        async def act() -> tuple[int, Dataset]:
            await house.create()
            await house.datasets.upload(NAME, 0, DATA)
            sealing = asyncio.create_task(house.seal(DATA))
            await asyncio.to_thread(slow.began.wait)
            self._silent(house, RETENTION_HOURS + 1)
            removed = await house.sweeper.sweep()
            slow.go.set()
            return removed, await sealing

        removed, sealed = house.run(act)

        assert removed == 0
        assert sealed.state is DatasetState.ACTIVE

    def test_bytes_of_finished_datasets_go(self, house: House) -> None:
        """A service that was killed between two steps leaves them, and those of datasets that are no more."""

        async def act() -> int:
            await house.create()
            await house.datasets.upload(NAME, 0, DATA)
            await house.seal(DATA)
            house.uploads.write(NAME, 0, DATA)
            house.uploads.write(DatasetName("acme", "gone"), 0, DATA)
            return await house.sweeper.sweep()

        assert house.run(act) == 0
        assert house.files() == []
        assert house.run(lambda: house.datasets.get(NAME)).state is DatasetState.ACTIVE

    def test_starts_with_what_a_killed_process_was_reading(self, house: House) -> None:
        """Rows of Parquet on their way."""

        async def act() -> None:
            house.uploads.scratch.mkdir(parents=True)
            (house.uploads.scratch / "rows").write_bytes(b"x")
            await house.sweeper.begin()

        house.run(act)

        assert house.files() == []
