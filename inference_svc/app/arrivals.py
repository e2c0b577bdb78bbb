"""How a revision comes into the engine: who waits for its load, the place that it gets, and the load itself."""

from __future__ import annotations

from collections.abc import Callable

from inference_svc.app.aliases import Aliases
from inference_svc.app.canaries import Canaries
from inference_svc.app.claim import Claim
from inference_svc.app.loader import Loader
from inference_svc.app.places import Places
from inference_svc.app.ports import InferenceEngine, Registry
from inference_svc.app.roster import Roster
from inference_svc.app.single_flight import Loads
from inference_svc.domain.residency import Resident
from shared.errors import NotFound
from shared.names import RevisionName


class Arrivals:
    """Of the fleet's revisions."""

    def __init__(
        self, *, loader: Loader, engine: InferenceEngine, registry: Registry, roster: Roster, places: Places,
        aliases: Aliases, canaries: Canaries, is_named: Callable[[RevisionName], bool],
    ) -> None:  # fmt: skip
        """`is_named` says whether an alias means a revision, or will, or it is on trial."""
        self._loader, self._engine, self._registry = loader, engine, registry
        self._roster, self._places, self._loads = roster, places, Loads(places.ring)
        self._aliases, self._canaries, self._is_named = aliases, canaries, is_named

    async def loaded(self, revision: RevisionName, replaces: RevisionName | None = None, *, asked: bool) -> Resident:
        """The revision, loaded; loads are single-flight, and end when nobody waits for them any more."""
        await self._loads.cancelled(revision)
        resident = self._roster.known.get(revision)
        if resident is not None and resident.is_open:
            return resident
        return await self._loads.join(revision, lambda: self._load(revision, replaces), asked=asked)

    async def _load(self, revision: RevisionName, replaces: RevisionName | None) -> Resident:
        self._engine.check()
        resident = self._roster.known.get(revision)
        if resident is not None and resident.is_barred:
            raise resident.refusal()
        if resident is not None and resident.is_pardoned:
            resident = self._roster.renew(resident)
            self._aliases.renewed(revision)
        if resident is None or not resident.digest:
            resident = self._roster.register(revision, await self._digest(revision))
        is_free = replaces is not None and not self._canaries.is_meant(replaces)
        before = self._roster.known.get(replaces) if replaces is not None and is_free else None
        if await self._places.take(Claim(resident, lambda: self._loads.is_asked(revision), before)):
            await self._take_in(resident)
        elif resident.is_barred:  # found out while it was closed
            raise resident.refusal()
        return resident

    async def ahead(self, revision: RevisionName, spare: int) -> bool:
        """Loads a revision if more than `spare` places are free and nobody waits for one; whether it got one."""
        await self._loads.cancelled(revision)
        resident = self._roster.known.get(revision)
        if resident is None:
            return False
        has_room = self._places.have_free(spare)
        if revision in self._loads and (resident.is_inside or has_room):  # somebody else's load is as good
            await self._loads.join(revision, lambda: self._take_in(resident), asked=False)
            return True
        if not has_room:
            return False
        self._engine.check()
        if not resident.digest:
            resident.digest = await self._digest(revision)
        if self._roster.known.get(revision) is not resident:  # forgotten meanwhile
            return False
        if revision in self._loads or not self._places.take_free(resident, spare=spare):
            return False
        await self._loads.join(revision, lambda: self._take_in(resident), asked=False)
        return True

    def is_kept(self, revision: RevisionName) -> bool:
        """Also while its load waits for a place: forgotten by then, it would come in twice under one key."""
        return revision in self._loads or self._is_named(revision)

    async def stop(self) -> None:
        """Ends loads that run."""
        await self._loads.stop()

    async def _take_in(self, resident: Resident) -> Resident:
        """Loads a revision that has a place."""
        await self._loader.load(resident, lambda: self._places.digests)
        self._loads.succeeded(resident)
        self._roster.forget_old(self.is_kept)
        return resident

    async def _digest(self, revision: RevisionName) -> str:
        try:
            return (await self._registry.revision(revision)).digest
        except NotFound as err:
            raise NotFound(
                "ADAPTER_NOT_FOUND", f"{revision} does not exist", metadata={"adapter": str(revision)}
            ) from err
