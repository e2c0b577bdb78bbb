"""The adapter revisions of this replica: their loads, who may use them, and who watches them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from inference_svc.app.aliases import Aliases
from inference_svc.app.arrivals import Arrivals
from inference_svc.app.canaries import Canaries
from inference_svc.app.expulsion import Expulsion
from inference_svc.app.loader import Loader
from inference_svc.app.meter import UNOBSERVED, Meter
from inference_svc.app.places import Places
from inference_svc.app.ports import InferenceEngine, Registry
from inference_svc.app.prefetch import Prefetch, Reason
from inference_svc.app.progress import Progress
from inference_svc.app.roster import Roster
from inference_svc.app.trials import Draw
from inference_svc.app.watch import Line, watch
from inference_svc.domain.alias_name import alias_of
from inference_svc.domain.canary_choice import CanaryChoice
from inference_svc.domain.residency import QUARANTINED, Resident, ResidentState
from shared.adapter.canary import CanarySplit
from shared.changes import Changes
from shared.errors import DomainError, StateConflict
from shared.names import AliasName, RevisionName

_CANARY_FILE = "canaries.json"


class Fleet:
    """Owns residents; all methods run on one event loop, so plain assignments are atomic.

    Requests hold a lease on the revision they began with; a replaced revision leaves the engine at zero leases and
    stays on disk for a roll back.
    """

    def __init__(
        self, *, loader: Loader, engine: InferenceEngine, registry: Registry, state_file: Path, capacity: int,
        meter: Meter = UNOBSERVED, chance: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        """`chance` is uniform in [0, 1), and draws who gets a canary."""
        self._engine = engine
        self._roster = Roster(self._moved, meter)
        self._lost: list[Resident] = []
        self._places = Places(capacity, self._unload, meter)
        self._changes, self._meter = Changes(), meter
        self._aliases = Aliases(self, state_file=state_file, changes=self._changes, meter=meter)
        self._canaries = Canaries(
            self, registry, state_file=state_file.with_name(_CANARY_FILE), chance=chance, changes=self._changes,
            release=self._release, meter=meter,
        )  # fmt: skip
        self.expulsion = Expulsion(self._roster, loader, self._canaries, self._unload)
        """To be told of every verdict, whoever asked."""
        self._arrivals = Arrivals(
            loader=loader, engine=engine, registry=registry, roster=self._roster, places=self._places,
            aliases=self._aliases, is_named=self._is_named,
        )  # fmt: skip
        self._prefetch = Prefetch(self._aliases.pinned, self._arrivals.ahead, capacity)

    @property
    def known(self) -> Mapping[RevisionName, Resident]:
        """The revisions that aliases or canaries mean or that were asked for here, whatever became of them."""
        return self._roster.known

    def restore(self) -> None:
        """Points aliases and canaries as they were at the last shutdown, and loads ahead what was used most lately."""
        for place, revision in enumerate(self._aliases.restore()):
            self._prefetch.wish(revision, Reason.USED, -place)
        self._canaries.restore()

    def point(self, alias: AliasName, revision: RevisionName, canary: CanarySplit | None = None) -> None:
        """Begins to serve `revision` under `alias`, and a part of it by `canary`.

        The present revision serves on until the new one is live; a canary gets nothing before it is.
        """
        self._aliases.point(alias, revision)
        self._canaries.follow(alias, revision, canary)
        if not self.known[revision].is_inside:
            self._prefetch.wish(revision, Reason.CHANGED)
        self._roster.forget_old(self._arrivals.is_kept)

    def draw(self, name: str, choice: CanaryChoice) -> tuple[str, Draw | None]:
        """What a request for `name` is to lease, and its place in a trial if chance decided. Raises `InvalidInput`."""
        alias = alias_of(name)
        if alias is None:
            return name, None
        canary, draw = self._canaries.draw(alias, self._aliases.meaning(alias), choice)
        return name if canary is None else str(canary), draw

    @asynccontextmanager
    async def serve(self, name: str, choice: CanaryChoice, progress: Progress) -> AsyncIterator[Resident]:
        """As `lease`, of the canary where the request gets it; what becomes of the request counts in the trial."""
        drawn, draw = self.draw(name, choice)
        async with self.lease(drawn) as resident:
            with self._canaries.judged(draw, progress):
                yield resident

    def canary_shares(self, revision: RevisionName) -> list[tuple[str, int]]:
        """Aliases whose canary a revision is, with the percent that it gets now."""
        return self._canaries.shares(revision)

    def pin(self, pins: AbstractSet[AliasName]) -> None:
        """What these aliases mean is loaded, and stays in the engine from now on; fewer than there are places."""
        assert len(pins) < self._places.count, "a place must be left for others"
        self._aliases.pin(pins)

    @property
    def unknown_pins(self) -> AbstractSet[AliasName]:
        """Pinned aliases that this replica does not know."""
        return self._aliases.unknown_pins

    async def pinned(self) -> None:
        """Returns when each pinned alias is served, cannot be, or is not for long."""
        await self._aliases.pinned()

    def pin_changed(self, resident: Resident) -> None:
        """Tells everybody."""
        self._meter.revision_pinned(resident)
        self._changes.ring()
        self._places.ring()

    def register(self, revision: RevisionName, digest: str = "") -> Resident:
        """The revision, known from now on if it was not; its digest may be told later."""
        return self._roster.register(revision, digest)

    def residents(self, tenant: str) -> list[tuple[Resident, list[str]]]:
        """Revisions of one tenant, by name, with the aliases that mean them here."""
        own = sorted(self._roster.of(tenant).items())
        return [(resident, self._aliases.of(revision)) for revision, resident in own]

    def watch(self, tenant: str) -> AsyncIterator[tuple[Resident, list[str]] | None]:
        """The present state of each revision of a tenant, then every change; None is a heartbeat.

        A reader that falls behind is told the state that holds by then, not each one between. Raises `Unavailable`
        (NOT_SERVING) when the process drains.
        """
        return watch(self._changes, lambda: self._lines(tenant))

    def _lines(self, tenant: str) -> Iterator[Line]:
        for resident, aliases in self.residents(tenant):
            yield Line(resident, aliases, self.canary_shares(resident.revision))

    def close_watches(self) -> None:
        """Ends every watch: the process drains."""
        self._changes.close()

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[Resident]:
        """The revision that `name` means now, kept in the engine until the request ends.

        `name` is an adapter (its alias `live`), an alias or a revision.

        A revision that is not in the engine is loaded first: who asks waits for that, and for a place if there is none.

        Raises:
            InvalidInput: FIELD_INVALID for a malformed name.
            NotFound: ADAPTER_NOT_FOUND.
            Unavailable: ADAPTER_NOT_READY when it cannot be loaded now.
            StateConflict: ADAPTER_REJECTED for a revision that failed its checks, ADAPTER_QUARANTINED for one that
                computed NaN or infinity.
        """
        resident = await self._find(name)
        while not resident.is_open:  # unloaded between the end of its load and our turn on the loop
            resident = await self._find(name)
        resident.leases += 1
        self._places.note_use(resident)
        try:
            yield resident
        except StateConflict as err:
            if err.reason == QUARANTINED:
                self.expulsion.of(resident, err)
            raise
        finally:
            resident.leases -= 1
            resident.last_use = time.monotonic()
            if resident.leases == 0:
                self._places.ring()
                if resident.state is ResidentState.DRAINING:
                    await asyncio.shield(self._unload(resident))

    def engine_lost(self) -> None:
        """The engine died, and every adapter with it. Aliases keep their meaning; leases end by themselves."""
        self._lost = [resident for resident in self.known.values() if resident.is_served]
        for resident in self._lost:
            resident.move(resident.left_state)

    async def engine_back(self) -> None:
        """Loads what aliases and canaries meant into the new engine, the pinned and then the warmest first.

        What fails is tried at its next use.
        """
        self._aliases.engine_back()
        for resident in self._lost:
            if self._is_named(resident.revision) and not resident.rejection:
                self._prefetch.wish(resident.revision, Reason.LOST, resident.warmth)
        await self._prefetch.done()  # what was being loaded ahead when the engine died has failed by then
        self._prefetch.try_again()
        await self._prefetch.done()
        await self._aliases.pinned()

    async def stop(self) -> None:
        """Ends promotions and loads that run."""
        await self._canaries.stop()
        await self._prefetch.stop()
        await self._aliases.stop()
        await self._arrivals.stop()

    async def _find(self, name: str) -> Resident:
        """What a name means, loaded; or another: what it means by then, or what served before where it cannot be."""
        while True:
            revision = self._aliases.revision(name)
            found = self.known.get(revision)
            if found is not None and found.is_open:
                return found
            try:
                resident = await self.ensure(revision)
            except DomainError:
                with suppress(DomainError):
                    if self._aliases.revision(name) != revision:
                        continue
                stand_in = await self._stand_in(name, revision)
                if stand_in is None:
                    raise
                return stand_in
            self._load_neighbours(resident)
            return resident

    async def _stand_in(self, name: str, missing: RevisionName) -> Resident | None:
        """What served an alias before one that cannot be loaded now, from the disk, where that is possible."""
        before = self._aliases.stand_in(name)
        if before is not None and before != missing:
            with suppress(DomainError):  # who asks is told of the one that is missing: that is what is to be mended
                return await self.ensure(before)
        return None

    def _load_neighbours(self, seen: Resident) -> None:
        """A tenant who asks for one adapter, and has no other in the engine, will probably ask for more of them."""
        for resident in self._roster.neighbours(seen, lambda revision: bool(self._aliases.of(revision))):
            self._prefetch.wish(resident.revision, Reason.NEIGHBOUR)

    async def ensure(self, revision: RevisionName) -> Resident:
        """The revision, loaded."""
        return await self._arrivals.ensure(revision)

    async def beside(self, revision: RevisionName) -> Resident | None:
        """The revision, loaded where that disturbs nobody; None where there is no place for it now."""
        return await self._arrivals.beside(revision)

    def _is_named(self, revision: RevisionName) -> bool:
        """Whether an alias means a revision, or will, or it is on trial."""
        return self._canaries.is_meant(revision) or self._aliases.is_named(revision)

    def _moved(self, resident: Resident) -> None:
        self._changes.ring()
        self._places.ring()
        self._aliases.moved(resident)
        self._canaries.moved(resident)

    async def retire(self, resident: Resident) -> None:
        """Takes a live revision out of the engine once its last request ended, unless it is on trial."""
        if resident.state is ResidentState.LIVE and not self._canaries.is_meant(resident.revision):
            resident.move(ResidentState.DRAINING)
            if resident.leases == 0:
                await self._unload(resident)

    async def _release(self, canary: RevisionName) -> None:
        """A revision is on trial no more."""
        resident = self.known.get(canary)
        if resident is not None and not self._aliases.is_named(canary):
            await self.retire(resident)

    async def _unload(self, resident: Resident) -> None:
        """Removes a draining revision, unless somebody took it up again meanwhile."""
        if resident.state is ResidentState.DRAINING and resident.leases == 0:
            resident.move(resident.left_state)
            assert resident.key is not None
            await self._engine.remove_adapter(resident.key)
