"""How a revision comes into the engine: who waits for its load, the place that it gets, and the load itself."""

from __future__ import annotations

from collections.abc import Callable

from inference_svc.app.aliases import Aliases
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
        aliases: Aliases, is_named: Callable[[RevisionName], bool],
    ) -> None:  # fmt: skip
        """`is_named` says whether an alias means a revision, or will, or it is on trial."""
        self._loader, self._engine, self._registry = loader, engine, registry
        self._roster, self._places, self._loads = roster, places, Loads(places.ring)
        self._aliases, self._is_named = aliases, is_named

    async def ensure(self, revision: RevisionName) -> Resident:
        """The revision, loaded; loads are single-flight, and end when nobody waits for them any more."""
        await self._loads.cancelled(revision)
        resident = self._roster.known.get(revision)
        if resident is not None and resident.is_open:
            return resident
        return await self._loads.join(revision, lambda: self._load(revision))

    async def _load(self, revision: RevisionName) -> Resident:
        resident = await self._loadable(revision)
        if await self._places.take(resident):
            await self._take_in(resident)
        return resident

    async def ahead(self, revision: RevisionName, spare: int) -> bool:
        """Loads a revision if more than `spare` places are free and nobody waits for one; whether it got one."""
        known = self._roster.known.get(revision)
        if known is not None and known.is_inside and revision in self._loads:  # somebody else's load is as good
            await self._loads.join(revision, lambda: self._take_in(known))
            return True
        if known is None or not self._places.have_free(spare):
            return False
        resident = await self._loadable(revision)
        if revision in self._loads or not self._places.take_free(resident, spare=spare):
            return False
        await self._loads.join(revision, lambda: self._take_in(resident))
        return True

    async def beside(self, revision: RevisionName) -> Resident | None:
        """The revision, loaded where that disturbs nobody (`Places.take_unused`); None where it cannot be now."""
        await self._loads.cancelled(revision)
        found = self._roster.known.get(revision)
        if found is not None and found.is_open:
            return found
        resident = await self._loadable(revision)
        if revision in self._loads or not await self._places.take_unused(resident):
            return None
        return await self._loads.join(revision, lambda: self._take_in(resident))

    def is_kept(self, revision: RevisionName) -> bool:
        """Also while its load waits for a place: forgotten by then, it would come in twice under one key."""
        return revision in self._loads or self._is_named(revision)

    async def stop(self) -> None:
        """Ends loads that run."""
        await self._loads.stop()

    async def _loadable(self, revision: RevisionName) -> Resident:
        """A revision that may be loaded, with its digest."""
        self._engine.check()
        resident = self._roster.known.get(revision)
        if resident is not None and resident.is_barred:
            raise resident.refusal()
        if resident is not None and resident.is_pardoned:
            resident = self._roster.renew(resident)
            self._aliases.renewed(revision)
        if resident is None or not resident.digest:
            resident = self._roster.register(revision, await self._digest(revision))
        return resident

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
