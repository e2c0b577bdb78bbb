"""A watch of revisions: what it tells again, and what it keeps."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from inference_svc.app.watch import Line, watch
from inference_svc.domain.residency import Resident
from shared.changes import Changes
from shared.names import RevisionName
from tests.unit.inference_svc.conftest import let_run, revision

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


class Reader:
    """A watcher of `listed`; `told` are the revisions it was told of, in order."""

    def __init__(self) -> None:
        self.changes, self.listed, self.told = Changes(), list[Line](), list[int]()

    async def read(self) -> None:
        """Until it is cancelled."""
        async for change in watch(self.changes, lambda: list(self.listed)):
            assert change is not None
            self.told.append(change[0].revision.number)
            del change  # the reader keeps nothing, so that what lives on is the watch's

    async def list(self, *lines: Line) -> None:
        """These are known from now on; returns when the watcher has been told."""
        self.listed[:] = lines
        self.changes.ring()
        await let_run()


@pytest_asyncio.fixture
async def reader() -> AsyncIterator[Reader]:
    """One that reads while the test runs."""
    own = Reader()
    reading = asyncio.create_task(own.read())
    yield own
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


def line(number: int) -> Line:
    """A revision that is known, and nothing more."""
    return Line(Resident(revision(number), "", lambda before, seconds: None), [], [])


class TestForgottenRevision:
    """One that the replica knows no more: it was out of the engine, and others were used later."""

    async def test_is_told_when_it_comes_back(self, reader: Reader) -> None:
        """It is news again, although it comes back as it was."""
        await reader.list(line(1), line(2))
        await reader.list(line(2))
        await reader.list(line(1), line(2))
        await reader.list(line(1), line(2))

        assert reader.told == [1, 2, 1]

    async def test_is_forgotten_by_the_watch_too(self, reader: Reader) -> None:
        """However many come and go: a watch lasts for days."""
        kept, passed = line(1000), list[weakref.ref[RevisionName]]()
        for number in range(1, 100):
            passing = line(number)
            passed.append(weakref.ref(passing.resident.revision))
            await reader.list(passing, kept)
        del passing
        await reader.list(kept)
        gc.collect()

        assert len(reader.told) == 100
        assert [name for seen in passed if (name := seen())] == []
