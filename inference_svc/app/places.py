"""The engine's places for adapters: who has one, who waits for one, and who makes room."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from inference_svc.app.meter import UNOBSERVED, Meter
from inference_svc.domain.residency import Resident, ResidentState
from shared.changes import Changes

_INSIDE = frozenset(
    {
        ResidentState.FETCHING, ResidentState.VERIFYING, ResidentState.LOADING, ResidentState.PROVING,
        ResidentState.LIVE, ResidentState.DRAINING,
    }
)  # fmt: skip

_PATIENCE_SECONDS = 0.5
"""Until one that is never idle is closed: shorter, and every burst would evict; longer, and a cold request waits."""


class Places:
    """No more revisions are on their way into the engine or inside than there are places.

    We evict, the engine never has to: its own eviction forgets an adapter whose next use reads files inside of a step.
    """

    def __init__(self, count: int, unload: Callable[[Resident], Awaitable[None]], meter: Meter = UNOBSERVED) -> None:
        self._count, self._unload, self._meter = count, unload, meter
        self._inside: list[Resident] = []
        self._turn = asyncio.Lock()
        self._changes = Changes()

    @property
    def digests(self) -> set[str]:
        """Of all revisions inside: their files are in use."""
        return {resident.digest for resident in self._now_inside()}

    async def take(self, coming: Resident) -> bool:
        """Begins the load of a revision (`FETCHING`), which has a place from then on; False when it has one already.

        Where all are taken an idle revision goes. Where none is idle for a while, one is closed to new requests, so
        that it becomes idle: who comes first is served first, and waits for requests that run, not for a lull.
        """
        async with self._turn:
            closing: Resident | None = None
            try:
                while coming.state not in _INSIDE:
                    mark = self._changes.mark()
                    inside = self._now_inside()
                    idle = [r for r in inside if r.state is ResidentState.LIVE and not r.leases]
                    if len(inside) < self._count:
                        coming.move(ResidentState.FETCHING)
                        self._inside.append(coming)
                        return True
                    if idle:
                        await self._evict(whose_turn_it_is(idle, inside))
                    elif not await Changes.wait(mark, _PATIENCE_SECONDS) and closing is None:
                        closing = self._close(inside)
                return False
            finally:
                if closing is not None:
                    closing.is_closing = False

    async def _evict(self, leaving: Resident) -> None:
        self._meter.revision_evicted(leaving.revision)
        leaving.move(ResidentState.DRAINING)
        await self._unload(leaving)

    def _close(self, inside: list[Resident]) -> Resident | None:
        live = [resident for resident in inside if resident.state is ResidentState.LIVE]
        if not live:
            return None
        closing = whose_turn_it_is(live, inside)
        closing.is_closing = True
        return closing

    def ring(self) -> None:
        """A revision left, or became idle."""
        self._changes.ring()

    def _now_inside(self) -> list[Resident]:
        self._inside = [resident for resident in self._inside if resident.state in _INSIDE]
        return self._inside


def whose_turn_it_is(among: list[Resident], inside: list[Resident]) -> Resident:
    """The revision that makes room: of the tenant with most places, the one that was used longest ago.

    Plain LRU would let one tenant with hundreds of adapters in turn evict all others at each round.
    """
    places = Counter(resident.revision.tenant for resident in inside)
    return min(among, key=lambda resident: (-places[resident.revision.tenant], resident.last_use))
