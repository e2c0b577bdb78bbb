"""Uploads and checks of datasets that nobody finishes."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta

import pytest

from shared.digest import sha256_bytes
from shared.errors import NotFound
from shared.names import DatasetName
from tests.unit.trainer_svc.dataset.house import DATA, NAME, RETENTION_HOURS, House, SlowCheck
from trainer_svc.domain.dataset import Dataset, DatasetState
from trainer_svc.store import catalog


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
