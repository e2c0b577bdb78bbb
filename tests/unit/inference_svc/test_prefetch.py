"""What is loaded before anybody asks for it, and in which order."""

from __future__ import annotations

import asyncio

import pytest

from inference_svc.app.prefetch import Prefetch, Reason
from shared.errors import Unavailable
from shared.names import RevisionName
from tests.unit.inference_svc.conftest import revision

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


class Loads:
    """Stands for the fleet: notes what is loaded, as long as there are places."""

    def __init__(self, places: int) -> None:
        self.free = places
        self.loaded: list[int] = []
        self.away: set[int] = set()
        self.first = asyncio.Event()
        self.first.set()
        self.prefetch = Prefetch(self._first, self._load, places)

    async def _first(self) -> None:
        await self.first.wait()

    async def _load(self, name: RevisionName, spare: int) -> bool:
        await asyncio.sleep(0)
        if self.free <= spare:
            return False
        if name.number in self.away:
            raise Unavailable("NOT_SERVING", "away")
        self.free -= 1
        self.loaded.append(name.number)
        return True


class TestPrefetch:
    """Wishes."""

    async def test_loads_the_best_reason_first_and_of_one_reason_the_latest(self) -> None:
        """A rank that is given goes before the order of the wishes."""
        loads = Loads(20)
        for number, reason, rank in (
            (1, Reason.CHANGED, None),
            (2, Reason.CHANGED, None),
            (3, Reason.USED, -2),
            (4, Reason.USED, -1),
            (5, Reason.NEIGHBOUR, None),
        ):
            loads.prefetch.wish(revision(number), reason, rank)
        await loads.prefetch.done()

        assert loads.loaded == [5, 4, 3, 2, 1]

    async def test_leaves_the_last_place_free_and_half_of_them_by_what_nobody_asked_for(self) -> None:
        """What was inside when the engine died had its place and may have the last one."""
        loads = Loads(8)
        for number in range(1, 9):
            loads.prefetch.wish(revision(number), Reason.CHANGED)
        await loads.prefetch.done()
        free = [loads.free]
        for reason in (Reason.USED, Reason.NEIGHBOUR, Reason.LOST):
            for number in range(9, 18):
                loads.prefetch.wish(revision(number), reason)
            await loads.prefetch.done()
            free.append(loads.free)

        assert free == [4, 1, 1, 0]

    async def test_waits_for_what_is_pinned(self) -> None:
        """Nothing is loaded ahead before that is there."""
        loads = Loads(8)
        loads.first.clear()
        loads.prefetch.wish(revision(1), Reason.USED)
        await asyncio.sleep(0.1)
        before = list(loads.loaded)
        loads.first.set()
        await loads.prefetch.done()

        assert (before, loads.loaded) == ([], [1])

    async def test_keeps_only_the_best_of_many_wishes(self) -> None:
        """Memory follows the places, not the aliases."""
        loads = Loads(4)
        for number in range(1, 10_001):
            loads.prefetch.wish(revision(number), Reason.USED, number % 5_000)
        most = len(loads.prefetch._wishes)
        await loads.prefetch.done()

        assert most <= 4 * 4
        assert loads.loaded == [4_999, 9_999, 4_998]

    async def test_tries_what_failed_when_it_is_told_to(self) -> None:
        """The engine died, or the registry was away."""
        loads = Loads(8)
        loads.away = {2}
        for number in (1, 2, 3):
            loads.prefetch.wish(revision(number), Reason.USED)
        await loads.prefetch.done()
        loads.away.clear()
        loads.prefetch.try_again()
        await loads.prefetch.done()

        assert loads.loaded == [3, 1, 2]
