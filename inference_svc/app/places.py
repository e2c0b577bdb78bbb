"""The engine's places for adapters: who has one, who waits for one, and who makes room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from inference_svc.app.meter import UNOBSERVED, Meter
from inference_svc.domain.eviction import EvictionPolicy, Warmth
from inference_svc.domain.residency import Resident, ResidentState
from shared.changes import Changes

_PATIENCE_SECONDS = 0.5
"""Until one that is never idle is closed: shorter, and every burst would evict; longer, and a cold request waits."""
_UNUSED_SECONDS = 0.5
"""After its last request a revision is left alone by loads that nobody waits for: the next one may be on its way."""


class Places:
    """No more revisions are on their way into the engine or inside than there are places.

    We evict, the engine never has to: its own eviction forgets an adapter whose next use reads files inside of a step.
    A pinned revision never makes room; there must be fewer of them than places.
    """

    def __init__(
        self, count: int, unload: Callable[[Resident], Awaitable[None]], meter: Meter = UNOBSERVED, *,
        policy: EvictionPolicy | None = None,
    ) -> None:  # fmt: skip
        self._count, self._unload, self._meter = count, unload, meter
        self._policy = policy or Warmth(count)
        self._inside: list[Resident] = []
        self._turn = asyncio.Lock()
        self._changes = Changes()

    @property
    def count(self) -> int:
        """How many there are."""
        return self._count

    @property
    def digests(self) -> set[str]:
        """Of all revisions inside: their files are in use."""
        return {resident.digest for resident in self._now_inside()}

    def note_use(self, resident: Resident) -> None:
        """A request begins on a revision that is inside."""
        resident.uses += 1
        self._policy.note_use(resident)

    async def take(self, coming: Resident) -> bool:
        """Begins the load of a revision (`FETCHING`), which has a place from then on; False when it has one already.

        Where all are taken an idle revision goes. Where none is idle for a while, one is closed to new requests, so
        that it becomes idle: who comes first is served first, and waits for requests that run, not for a lull.

        Raises the refusal of a revision that was found out while it waited.
        """
        async with self._turn:
            closing: Resident | None = None
            try:
                while not coming.is_inside:
                    if coming.is_barred:
                        raise coming.refusal()
                    mark = self._changes.mark()
                    inside = self._now_inside()
                    if len(inside) < self._count:
                        self._enter(coming)
                        return True
                    if closing is not None and closing.is_pinned:  # since it was closed: it goes nowhere
                        closing.is_closing, closing = False, None
                    may_go = self._may_go(inside)
                    idle = self._idle(may_go)
                    if idle:
                        await self._evict(self._policy.whose_turn_it_is(idle, inside, coming))
                    elif not await Changes.wait(mark, _PATIENCE_SECONDS) and closing is None:
                        closing = self._close_one(may_go, inside, coming)
                return False
            finally:
                if closing is not None:
                    closing.is_closing = False

    def _close_one(self, may_go: list[Resident], inside: list[Resident], coming: Resident) -> Resident | None:
        """Requests that come for it wait from now on; also those for one that is drained, which name it for ever."""
        closable = [resident for resident in may_go if resident.is_open and not resident.is_pinned]
        if not closable:
            return None
        closing = self._policy.whose_turn_it_is(closable, inside, coming)
        closing.is_closing = True
        return closing

    def have_free(self, spare: int) -> bool:
        """Whether more than `spare` places are free, and no revision waits for one."""
        return not self._turn.locked() and len(self._now_inside()) + spare < self._count

    def take_free(self, coming: Resident, *, spare: int) -> bool:
        """As `take`, but only where `have_free`: for a load that nobody waits for, which makes nobody leave."""
        if coming.state not in (ResidentState.REGISTERED, ResidentState.UNLOADED) or not self.have_free(spare):
            return False
        self._enter(coming)
        return True

    async def take_unused(self, coming: Resident) -> bool:
        """As `take_free` down to the last place; where none is free an idle revision goes that was not used lately."""
        if not self._turn.locked() and not coming.is_inside and not self.have_free(0):
            inside, before = self._now_inside(), time.monotonic() - _UNUSED_SECONDS
            unused = [r for r in self._idle(self._may_go(inside)) if max(r.last_use, r.entered) < before]
            if unused:
                await self._evict(self._policy.whose_turn_it_is(unused, inside, coming))
        return self.take_free(coming, spare=0)

    @staticmethod
    def _may_go(inside: list[Resident]) -> list[Resident]:
        return [r for r in inside if r.is_served and not r.is_pinned and not r.expected]

    @staticmethod
    def _idle(may_go: list[Resident]) -> list[Resident]:
        return [resident for resident in may_go if resident.state is ResidentState.LIVE and resident.is_idle]

    def _enter(self, coming: Resident) -> None:
        coming.uses = 0
        coming.move(ResidentState.FETCHING)
        self._inside.append(coming)

    async def _evict(self, leaving: Resident) -> None:
        self._meter.revision_evicted(leaving.revision)
        leaving.move(ResidentState.DRAINING)
        await self._unload(leaving)

    def ring(self) -> None:
        """A revision left, became idle, or may leave from now on."""
        self._changes.ring()

    def _now_inside(self) -> list[Resident]:
        self._inside = [resident for resident in self._inside if resident.is_inside]
        return self._inside
