"""Golden datasets from the first byte to the report."""

from __future__ import annotations

import asyncio
import dataclasses
import threading

import pytest

from shared.digest import sha256_bytes
from shared.errors import Exhausted, InvalidInput, NotFound, StateConflict
from shared.names import DatasetName
from shared.storage.local import LocalBlobStore
from tests.unit.trainer_svc.dataset.house import DATA, NAME, SPEC, House, SlowCheck
from trainer_svc.app import datasets as module
from trainer_svc.app.datasets import Datasets
from trainer_svc.domain.dataset import Dataset, DatasetFormat, DatasetState, InvalidRowPolicy
from trainer_svc.domain.registry import Contract
from trainer_svc.store import catalog

CSV = b"output,input\r\n" + b"".join(b"true,row %d\r\n" % number for number in range(40))


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
