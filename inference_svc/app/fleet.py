"""The adapter revisions of this replica: their loads, who may use them, and who watches them."""

from __future__ import annotations

import asyncio
import heapq
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from inference_svc.app.aliases import Aliases
from inference_svc.app.loader import Loader
from inference_svc.app.meter import UNOBSERVED, Meter
from inference_svc.app.places import Places
from inference_svc.app.ports import InferenceEngine, Registry
from inference_svc.app.prefetch import Prefetch, Reason
from inference_svc.app.single_flight import Loads
from inference_svc.domain.residency import Resident, ResidentState
from shared.changes import Changes
from shared.errors import DomainError, NotFound, Unavailable
from shared.names import AliasName, RevisionName

_GONE = (ResidentState.UNLOADED, ResidentState.REJECTED)
_MAX_REMEMBERED = 2_000
_NEIGHBOURS = 4
"""Adapters of a tenant that are loaded ahead when it comes: more would be guesses."""
HEARTBEAT_SECONDS = 15.0


class Fleet:
    """Owns residents; all methods run on one event loop, so plain assignments are atomic.

    Requests hold a lease on the revision they began with; a replaced revision leaves the engine at zero leases and
    stays on disk for a roll back.
    """

    def __init__(
        self, *, loader: Loader, engine: InferenceEngine, registry: Registry, state_file: Path, capacity: int,
        meter: Meter = UNOBSERVED,
    ) -> None:  # fmt: skip
        self._loader, self._engine, self._registry = loader, engine, registry
        self._residents: dict[RevisionName, Resident] = {}
        self._tenants: defaultdict[str, dict[RevisionName, Resident]] = defaultdict(dict)
        self._kept = 0
        self._lost: list[Resident] = []
        self._places = Places(capacity, self._unload, meter)
        self._loads = Loads(self._places.ring)
        self._changes, self._meter = Changes(), meter
        self._aliases = Aliases(self, state_file=state_file, changes=self._changes, meter=meter)
        self._prefetch = Prefetch(self._aliases.pinned, self._load_ahead, capacity)

    @property
    def known(self) -> Mapping[RevisionName, Resident]:
        """The revisions that aliases mean or that were asked for here, whatever became of them."""
        return self._residents

    def restore(self) -> None:
        """Points the aliases as they were at the last shutdown, and loads ahead what was used most lately."""
        for place, revision in enumerate(self._aliases.restore()):
            self._prefetch.wish(revision, Reason.USED, -place)

    def point(self, alias: AliasName, revision: RevisionName) -> None:
        """Begins to serve `revision` under `alias`; the present revision serves on until the new one is live."""
        self._aliases.point(alias, revision)
        if not self._residents[revision].is_inside:
            self._prefetch.wish(revision, Reason.CHANGED)

    def pin(self, pins: AbstractSet[AliasName]) -> None:
        """What these aliases mean is loaded, and stays in the engine from now on; fewer than there are places."""
        assert len(pins) < self._places.count, "a place must be left for others"
        self._aliases.pin(pins)

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
        found = self._residents.get(revision)
        if found is None:
            found = self._residents[revision] = self._tenants[revision.tenant][revision] = self._new(revision)
        found.digest = found.digest or digest
        return found

    def residents(self, tenant: str) -> list[tuple[Resident, list[str]]]:
        """Revisions of one tenant, by name, with the aliases that mean them here."""
        own = sorted(self._tenants.get(tenant, {}).items())
        return [(resident, self._aliases.of(revision)) for revision, resident in own]

    async def watch(self, tenant: str) -> AsyncIterator[tuple[Resident, list[str]] | None]:
        """The present state of each revision of a tenant, then every change; None is a heartbeat.

        A reader that falls behind is told the state that holds by then, not each one between. Raises `Unavailable`
        (NOT_SERVING) when the process drains.
        """
        told: dict[RevisionName, tuple[ResidentState, bool, list[str]]] = {}
        while True:
            mark, before = self._changes.mark(), dict(told)
            for resident, aliases in self.residents(tenant):
                now = (resident.state, resident.is_pinned, aliases)
                if told.get(resident.revision) != now:
                    told[resident.revision] = now
                    yield resident, aliases
            if told != before:
                continue
            if self._changes.closed:
                raise Unavailable("NOT_SERVING", "the service drains", hint="watch another replica")
            if not await Changes.wait(mark, HEARTBEAT_SECONDS):
                yield None

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
            StateConflict: ADAPTER_REJECTED for a revision that failed its checks.
        """
        resident = await self._find(name)
        while not resident.is_open:  # unloaded between the end of its load and our turn on the loop
            resident = await self._find(name)
        resident.leases += 1
        self._places.note_use(resident)
        try:
            yield resident
        finally:
            resident.leases -= 1
            if resident.leases == 0:
                self._places.ring()
                if resident.state is ResidentState.DRAINING:
                    await asyncio.shield(self._unload(resident))

    def engine_lost(self) -> None:
        """The engine died, and every adapter with it. Aliases keep their meaning; leases end by themselves."""
        self._lost = [resident for resident in self._residents.values() if resident.is_served]
        for resident in self._lost:
            resident.move(ResidentState.UNLOADED)

    async def engine_back(self) -> None:
        """Loads what aliases meant into the new engine, the pinned and then the warmest first.

        What fails is tried at its next use.
        """
        self._aliases.engine_back()
        for resident in self._lost:
            if self._aliases.is_named(resident.revision):
                self._prefetch.wish(resident.revision, Reason.LOST, resident.warmth)
        await self._prefetch.done()  # what was being loaded ahead when the engine died has failed by then
        self._prefetch.try_again()
        await self._prefetch.done()
        await self._aliases.pinned()

    async def stop(self) -> None:
        """Ends promotions and loads that run."""
        await self._prefetch.stop()
        await self._aliases.stop()
        await self._loads.stop()

    async def _find(self, name: str) -> Resident:
        """What a name means, loaded; where that is rejected and the name means another by then, that one."""
        while True:
            revision = self._aliases.revision(name)
            found = self._residents.get(revision)
            if found is not None and found.is_open:
                return found
            try:
                resident = await self.ensure(revision)
            except DomainError:
                with suppress(NotFound):
                    if self._aliases.revision(name) != revision:
                        continue
                raise
            self._load_neighbours(resident)
            return resident

    def _load_neighbours(self, seen: Resident) -> None:
        """A tenant who asks for one adapter, and has no other in the engine, will probably ask for more of them."""
        own = self._tenants[seen.revision.tenant]
        if any(resident.is_served for resident in own.values() if resident is not seen):
            return
        latest = [resident for resident in reversed(own.values()) if self._aliases.of(resident.revision)]
        for resident in reversed(heapq.nlargest(_NEIGHBOURS, latest, key=lambda resident: resident.warmth)):
            if not resident.is_inside:
                self._prefetch.wish(resident.revision, Reason.NEIGHBOUR)

    async def ensure(self, revision: RevisionName) -> Resident:
        """The revision, loaded; loads are single-flight, and end when nobody waits for them any more."""
        await self._loads.cancelled(revision)
        resident = self._residents.get(revision)
        if resident is not None and resident.is_open:
            return resident
        return await self._loads.join(revision, lambda: self._load(revision))

    async def _load(self, revision: RevisionName) -> Resident:
        self._engine.check()
        resident = self._residents.get(revision)
        if resident is not None and resident.state is ResidentState.REJECTED:
            raise NotFound("ADAPTER_NOT_FOUND", f"{revision} was rejected: {resident.rejection}")
        if resident is None or not resident.digest:
            resident = self.register(revision, await self._digest(revision))
        if await self._places.take(resident):
            await self._take_in(resident)
        return resident

    async def _load_ahead(self, revision: RevisionName, spare: int) -> bool:
        """Loads a revision if more than `spare` places are free and nobody waits for one; whether it got one."""
        resident = self._residents.get(revision)
        if resident is None or not self._places.have_free(spare):
            return False
        self._engine.check()
        if not resident.digest:
            resident.digest = await self._digest(revision)
        if revision in self._loads or not self._places.take_free(resident, spare=spare):
            return False
        await self._loads.join(revision, lambda: self._take_in(resident))
        return True

    async def _take_in(self, resident: Resident) -> Resident:
        """Loads a revision that has a place."""
        await self._loader.load(resident, self._places.digests)
        self._loads.succeeded(resident)
        self._forget_old()
        return resident

    def _forget_old(self) -> None:
        """Of the revisions that left the engine and that no alias means only so many are remembered."""
        if len(self._residents) < self._kept + _MAX_REMEMBERED // 2:
            return
        loose = [
            resident
            for revision, resident in self._residents.items()
            if resident.state in _GONE and not resident.leases and not self._aliases.is_named(revision)
        ]
        for resident in sorted(loose, key=lambda resident: resident.warmth)[: -_MAX_REMEMBERED // 2]:
            name = resident.revision
            del self._residents[name], self._tenants[name.tenant][name]
            if not self._tenants[name.tenant]:
                del self._tenants[name.tenant]
            self._meter.revision_forgotten(resident)
        self._kept = len(self._residents)

    def _new(self, revision: RevisionName) -> Resident:
        def moved(before: ResidentState, seconds: float) -> None:
            self._meter.revision_moves(resident, before, seconds)
            self._changes.ring()
            self._places.ring()
            self._aliases.moved(resident)

        resident = Resident(revision, "", moved)
        self._meter.revision_moves(resident, resident.state, 0.0)
        return resident

    async def _digest(self, revision: RevisionName) -> str:
        try:
            return (await self._registry.revision(revision)).digest
        except NotFound as err:
            raise NotFound(
                "ADAPTER_NOT_FOUND", f"{revision} does not exist", metadata={"adapter": str(revision)}
            ) from err

    async def retire(self, resident: Resident) -> None:
        """Takes a live revision out of the engine once its last request ended."""
        if resident.state is ResidentState.LIVE:
            resident.move(ResidentState.DRAINING)
            if resident.leases == 0:
                await self._unload(resident)

    async def _unload(self, resident: Resident) -> None:
        """Removes a draining revision, unless somebody took it up again meanwhile."""
        if resident.state is ResidentState.DRAINING and resident.leases == 0:
            resident.move(ResidentState.UNLOADED)
            assert resident.key is not None
            await self._engine.remove_adapter(resident.key)
