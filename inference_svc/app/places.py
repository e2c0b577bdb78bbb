"""The engine's places for adapters: who has one, who waits for one, and who makes room."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from inference_svc.app.claim import Claim
from inference_svc.app.meter import UNOBSERVED, Meter
from inference_svc.domain.eviction import EvictionPolicy, Warmth
from inference_svc.domain.residency import Resident, ResidentState
from shared.changes import Changes
from shared.errors import Unavailable

_PATIENCE_SECONDS = 0.5
"""Until one that is never idle is closed: shorter, and every burst would evict; longer, and a cold request waits."""
_LATELY_SECONDS = 0.5
"""After its last request a revision is left alone by loads that nobody waits for: the next one may be on its way."""
_MAX_WAIT_SECONDS = 10.0
"""Until such a load gives up, so that others that may find a place have their turn."""


class Places:
    """No more revisions are on their way into the engine or inside than there are places.

    We evict, the engine never has to: its own eviction forgets an adapter whose next use reads files inside of a step.
    A pinned revision never makes room; there must be fewer of them than places.

    Requests that need a place stand in a line. A load that nobody waits for comes after all of them, and displaces
    nothing that is in use: else more hot revisions than places would displace each other without end.
    """

    def __init__(
        self, count: int, unload: Callable[[Resident], Awaitable[None]], meter: Meter = UNOBSERVED, *,
        policy: EvictionPolicy | None = None,
    ) -> None:  # fmt: skip
        self._count, self._unload, self._meter = count, unload, meter
        self._policy = policy or Warmth(count)
        self._inside: list[Resident] = []
        self._line: deque[Claim] = deque()
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

    async def take(self, claim: Claim) -> bool:
        """Begins the load of a revision (`FETCHING`), which has a place from then on.

        False when it needs none: it has one already, or again, or it was rejected meanwhile.

        Where all are taken an idle revision goes. Where none is idle for a while, one is closed to new requests, so
        that it becomes idle: who comes first is served first, and waits for requests that run, not for a lull. As long
        as no request waits for it, a load only takes the place of what was not used lately, or of the revision that
        it replaces, which would leave anyway.

        Raises:
            Unavailable: ADAPTER_NOT_READY when there is no such place for long, and no request waits.
        """
        try:
            while not claim.is_over:
                if await (self._take_in_turn(claim) if claim.is_pressing else self._take_patiently(claim)):
                    return True
            return False
        finally:
            self._reopen(claim)

    async def _take_in_turn(self, claim: Claim) -> bool:
        """Whether it got one; False when it needs none, or does not press any more."""
        async with self._turn(claim):
            patient_until = time.monotonic() + _PATIENCE_SECONDS
            while claim.is_pressing and not claim.is_over:
                mark = self._changes.mark()
                if await self._enter(claim):
                    return True
                if time.monotonic() >= patient_until:
                    self._close(claim, self._closable())
                await Changes.wait(mark, _until(patient_until))
            return False

    async def _take_patiently(self, claim: Claim) -> bool:
        """As `_take_in_turn`, while no request stands in the line; False, too, when it begins to press."""
        begin = time.monotonic()
        patient_until = begin + max(_PATIENCE_SECONDS, _LATELY_SECONDS)  # others may have been idle for long by then
        while not claim.is_pressing and not claim.is_over:
            mark = self._changes.mark()
            self._forget_closed(claim)
            if not self._line:
                async with self._turn(claim):
                    if await self._enter(claim):
                        return True
            if time.monotonic() >= begin + _MAX_WAIT_SECONDS:
                text = f"{claim.coming.revision} finds no place in the engine: all are in use"
                raise Unavailable("ADAPTER_NOT_READY", text, retry_after_seconds=_MAX_WAIT_SECONDS)
            if time.monotonic() >= patient_until:
                self._close(claim, [resident for resident in self._closable() if resident is claim.replaces])
            await Changes.wait(mark, _until(patient_until))
        return False

    @asynccontextmanager
    async def _turn(self, claim: Claim) -> AsyncIterator[None]:
        """From when a claim is the first in the line, or over."""
        self._line.append(claim)
        try:
            while self._line[0] is not claim and not claim.is_over:
                claim.called.clear()
                await claim.called.wait()
            yield
        finally:
            self._line.remove(claim)
            if self._line:
                self._line[0].called.set()
            self.ring()  # for those who wait until nobody stands in the line

    async def _enter(self, claim: Claim) -> bool:
        """Whether it got a free place; where there is none, an idle revision goes, if there is one that may."""
        self._forget_closed(claim)
        inside = self._now_inside()
        if len(inside) >= self._count:
            idle = [r for r in self._may_go() if r.state is ResidentState.LIVE and r.is_idle and self._leaves(r, claim)]
            if not idle:
                return False
            await self._evict(self._policy.whose_turn_it_is(idle, inside, claim.coming))
        if len(self._now_inside()) >= self._count or claim.is_over:
            return False
        self._begin(claim.coming)
        return True

    @staticmethod
    def _leaves(idle: Resident, claim: Claim) -> bool:
        """Whether an idle revision makes room for a claim."""
        is_lately_used = time.monotonic() - idle.last_use < _LATELY_SECONDS
        return claim.is_pressing or idle is claim.closing or not is_lately_used

    def _may_go(self) -> list[Resident]:
        return [r for r in self._now_inside() if r.is_served and not r.is_pinned and not r.expected]

    def _closable(self) -> list[Resident]:
        return [resident for resident in self._may_go() if resident.is_open]

    def _close(self, claim: Claim, among: list[Resident]) -> None:
        """Requests that come for it wait from now on; also those for one that is drained, which name it for ever."""
        if claim.closing is not None or not among:
            return
        if claim.replaces in among:
            claim.closing = claim.replaces
        else:
            claim.closing = self._policy.whose_turn_it_is(among, self._now_inside(), claim.coming)
        claim.closing.is_closing = True

    def _forget_closed(self, claim: Claim) -> None:
        """What was closed goes nowhere since it was pinned, or is gone already."""
        if claim.closing is not None and (claim.closing.is_pinned or not claim.closing.is_served):
            self._reopen(claim)

    def _reopen(self, claim: Claim) -> None:
        """Requests may begin again on what a claim closed."""
        closed, claim.closing = claim.closing, None
        if closed is not None:
            closed.is_closing = False
            self.opened(closed)

    def opened(self, resident: Resident) -> None:
        """A revision that was closed may be used again: who stands in the line for it need not wait."""
        for claim in self._line:
            if claim.coming is resident:
                claim.called.set()
        self.ring()

    def have_free(self, spare: int) -> bool:
        """Whether more than `spare` places are free, and no revision waits for one."""
        return not self._line and len(self._now_inside()) + spare < self._count

    def take_free(self, coming: Resident, *, spare: int) -> bool:
        """As `take`, but only where `have_free`: for a load that nobody waits for, which makes nobody leave."""
        if coming.state not in (ResidentState.REGISTERED, ResidentState.UNLOADED) or not self.have_free(spare):
            return False
        self._begin(coming)
        return True

    def _begin(self, coming: Resident) -> None:
        coming.uses = 0
        coming.move(ResidentState.FETCHING)
        self._inside.append(coming)

    async def _evict(self, leaving: Resident) -> None:
        self._meter.revision_evicted(leaving.revision)
        leaving.move(ResidentState.DRAINING)
        await self._unload(leaving)

    def ring(self) -> None:
        """A revision left, became idle, or may leave from now on; or a request waits for a load now."""
        self._changes.ring()

    def _now_inside(self) -> list[Resident]:
        self._inside = [resident for resident in self._inside if resident.is_inside]
        return self._inside


def _until(moment: float) -> float:
    """Seconds to wait for a ring at most: what becomes possible by the time alone does not ring."""
    return max(0.0, moment - time.monotonic()) or _PATIENCE_SECONDS
