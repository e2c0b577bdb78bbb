"""The ledger on disk, and its way to the trainer."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from inference_svc.app import bookkeeper as module
from inference_svc.app.bookkeeper import MAX_REFUSED_HOURS, MAX_REPORTED, Bookkeeper
from inference_svc.app.ledger_file import LedgerFile
from inference_svc.domain.ledger import Ledger, UsageKey
from shared.errors import Unavailable
from shared.testing import ManualClock
from shared.usage import UsageCounts, hour_of
from tests.unit.inference_svc.conftest import until
from tests.usage_reader import FakeReader

ONE = UsageCounts(answered_requests=1, latency_microseconds=5)
pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


@dataclass
class Process:
    """A ledger with its keeper, as one process has them. `ids` and the folder are those of the machine."""

    folder: Path
    reader: FakeReader
    ids: Callable[[], str]
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.ids)
        self.file = LedgerFile(self.folder / "ledger.json", self.ledger)
        self.keeper = Bookkeeper(
            ledger=self.ledger, file=self.file, reader=self.reader,
            clock=self.clock, save_seconds=0.001, report_seconds=0.001,
        )  # fmt: skip
        self.keeper.restore()

    def count(self, tenant: str = "acme", number: int = 1) -> None:
        """A request."""
        self.ledger.count(UsageKey("", tenant, "answer", number, hour_of(self.clock.now())), ONE)

    def next(self) -> Process:
        """The process that comes after this one was killed."""
        return Process(self.folder, self.reader, self.ids, self.clock)


@pytest.fixture
def process(tmp_path: Path) -> Process:
    """The first process on a machine."""
    numbers = itertools.count(1)
    return Process(tmp_path, FakeReader(), lambda: f"id-{next(numbers)}")


class TestReport:
    """Telling the trainer."""

    async def test_goes_by_replica_and_tenant_in_pieces(self, process: Process) -> None:
        """No tenant's report holds another's, and none is larger than the trainer takes."""
        for number in range(1, MAX_REPORTED + 2):
            process.count("acme", number)
        process.count("globex")

        await process.keeper.report()

        sizes = [(replica, tenant, len(entries)) for replica, tenant, entries in process.reader.reports]
        assert sizes == [("id-1", "acme", MAX_REPORTED), ("id-1", "acme", 1), ("id-1", "globex", 1)]

    async def test_is_kept_while_the_trainer_is_away(self, process: Process) -> None:
        """And told when it is back."""
        process.reader.away = True
        process.count()
        with pytest.raises(Unavailable):
            await process.keeper.report()

        process.reader.away = False
        process.count()
        await process.keeper.report()

        ((_, _, (entry,)),) = process.reader.reports
        assert entry.counts.answered_requests == 2

    async def test_of_one_tenant_that_is_refused_holds_up_no_other(
        self, process: Process, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is logged, kept, and tried again in the next hour."""
        process.reader.refusing = {"acme"}
        process.count("acme")
        process.count("globex")

        with caplog.at_level(logging.ERROR):
            await process.keeper.report()
            await process.keeper.report()

        assert [tenant for _, tenant, _ in process.reader.reports] == ["globex"]
        assert [record.message for record in caplog.records] == ["usage is refused"]
        assert len(process.ledger.unreported()) == 1

        process.reader.refusing = set()
        process.clock.advance(3600)
        await process.keeper.report()
        assert [tenant for _, tenant, _ in process.reader.reports] == ["globex", "acme"]

    async def test_of_one_entry_that_is_refused_holds_up_no_other(self, process: Process) -> None:
        """What the trainer names is set aside, and the rest of its part arrives at once."""
        process.reader.faulty = {2, 4}
        for number in (1, 2, 3, 4, 5):
            process.count(number=number)
        await process.keeper.report()

        ((_, _, entries),) = process.reader.reports
        assert [entry.key.revision for entry in entries] == [1, 3, 5]
        assert [entry.key.revision for entry in process.ledger.unreported()] == [2, 4]

    async def test_that_is_refused_is_logged_for_each_tenant(
        self, process: Process, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Once an hour, however often it comes."""
        process.reader.refusing = {"acme", "globex"}
        with caplog.at_level(logging.ERROR):
            for _ in range(3):
                process.count("acme")
                process.count("globex")
                await process.keeper.report()
            process.clock.advance(3600)
            await process.keeper.report()

        assert [vars(record)["tenant"] for record in caplog.records] == ["acme", "globex"] * 2

    async def test_that_is_refused_for_days_is_given_up(
        self, process: Process, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It would fill the ledger in time; the log says how many requests are gone."""
        process.reader.faulty = {1}
        process.count()
        with caplog.at_level(logging.ERROR):
            for hours in (0, MAX_REFUSED_HOURS):
                process.clock.advance(3600 * hours)
                await process.keeper.report()
            assert process.ledger.entries()
            process.clock.advance(3600)
            await process.keeper.report()

        assert process.ledger.entries() == []
        assert [vars(record).get("requests") for record in caplog.records] == [None, None, None, 1]

    async def test_leaves_nothing_of_past_hours_behind(self, process: Process) -> None:
        """The ledger does not grow with time."""
        process.count()
        process.clock.advance(3600)
        await process.keeper.report()

        assert process.ledger.entries() == []


class TestRun:
    """While the process lives."""

    async def test_reports_and_saves_by_itself(self, process: Process) -> None:
        """Across a trainer that is away for a while."""
        process.reader.away = True
        process.count()
        running = asyncio.create_task(process.keeper.run())
        await until(lambda: process.reader.asked > 2 and (process.folder / "ledger.json").is_file())

        process.reader.away = False
        await until(lambda: len(process.reader.reports) == 1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    async def test_saves_again_what_could_not_be_written(self, process: Process) -> None:
        """Though nothing is counted meanwhile: a disk that was full for a moment loses nothing."""
        process.reader.away = True
        process.count()
        (process.folder / "ledger.json").mkdir()  # no file can take its place
        saver = process.file._saver
        process.file.save()
        await saver.saved()
        assert saver.is_unsaved

        (process.folder / "ledger.json").rmdir()
        process.file.save()
        await saver.saved()

        assert not saver.is_unsaved
        assert len(process.next().ledger.unreported()) == 1

    async def test_tells_that_the_ledger_is_full(self, process: Process, caplog: pytest.LogCaptureFixture) -> None:
        """Requests that are not counted are not passed over in silence."""
        process.ledger.lost_requests = 3
        with caplog.at_level(logging.ERROR):
            running = asyncio.create_task(process.keeper.run())
            await until(lambda: bool(caplog.records))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

        assert [vars(record)["requests"] for record in caplog.records] == [3]


class TestRestart:
    """The next process on the same folder."""

    async def test_tells_what_the_last_one_could_not(self, process: Process) -> None:
        """Under the id of the process that counted it."""
        process.reader.away = True
        process.count()
        await process.keeper.stop()

        process.reader.away = False
        later = process.next()
        later.count()
        await later.keeper.report()

        assert [replica for replica, _, _ in process.reader.reports] == ["id-1", "id-2"]

    async def test_repeats_what_it_cannot_know_to_have_arrived(self, process: Process) -> None:
        """With the same sequence, so that it counts once."""
        process.count()
        process.reader.away = True
        await process.keeper.stop()
        process.reader.away = False
        for _ in range(2):
            await process.next().keeper.report()

        first, second = process.reader.reports
        assert first == second

    async def test_takes_no_harm_from_a_file_that_is_none_of_ours(
        self, process: Process, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is kept aside: requests are answered whatever became of the ledger."""
        for body in (b"", b"[]", b"{", b'{"version":2,"entries":[]}', b'{"version":1,"entries":[{"key":{}}]}'):
            (process.folder / "ledger.json").write_bytes(body)
            with caplog.at_level(logging.ERROR):
                later = process.next()

            assert later.ledger.entries() == []
            assert (process.folder / "ledger.unread").read_bytes() == body
        assert len(caplog.records) == 5


class TestStop:
    """The end of a process."""

    async def test_reports_and_saves_the_last(self, process: Process) -> None:
        """Nothing that was counted is lost on a drain."""
        process.count()
        await process.keeper.stop()

        assert len(process.reader.reports) == 1
        assert (process.folder / "ledger.json").is_file()

    async def test_waits_for_nobody_for_long(self, process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
        """A trainer that does not answer keeps no process alive; the file has it."""
        monkeypatch.setattr(module, "_LAST_REPORT_SECONDS", 0.01)
        process.count()

        async def hang(*_: object) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(process.reader, "report", hang)
        await process.keeper.stop()

        assert len(process.next().ledger.unreported()) == 1
