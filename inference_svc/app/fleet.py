"""The adapter revisions of this replica: their loads, who may use them, and who watches them."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from inference_svc.app.aliases import Aliases
from inference_svc.app.canaries import Canaries, Draw, alias_of
from inference_svc.app.loader import Loader
from inference_svc.app.meter import UNOBSERVED, Meter
from inference_svc.app.places import Places
from inference_svc.app.ports import InferenceEngine, Registry
from inference_svc.app.progress import Progress
from inference_svc.domain.canary_choice import CanaryChoice
from inference_svc.domain.residency import QUARANTINED, Resident, ResidentState
from shared.adapter.canary import CanarySplit
from shared.changes import Changes
from shared.errors import DomainError, NotFound, StateConflict, Unavailable
from shared.names import AliasName, RevisionName

_log = logging.getLogger(__name__)

_GONE = (ResidentState.UNLOADED, ResidentState.REJECTED)
_MAX_REMEMBERED = 2_000
HEARTBEAT_SECONDS = 15.0
_CANARY_FILE = "canaries.json"


@dataclass
class _Load:
    task: asyncio.Task[Resident]
    waiting: int = 0


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
        self._loader, self._engine, self._registry = loader, engine, registry
        self._capacity = capacity
        self._residents: dict[RevisionName, Resident] = {}
        self._loads: dict[RevisionName, _Load] = {}
        self._places = Places(capacity, self._unload, meter)
        self._uses = itertools.count(1)
        self._digests: dict[RevisionName, str] = {}
        self._changes, self._meter = Changes(), meter
        self._aliases = Aliases(self, state_file=state_file, changes=self._changes, meter=meter)
        self._canaries = Canaries(
            self, registry, state_file=state_file.with_name(_CANARY_FILE), chance=chance, changes=self._changes,
            release=self._release, meter=meter,
        )  # fmt: skip

    @property
    def known(self) -> Mapping[RevisionName, Resident]:
        """The revisions that were asked for here so far, whatever became of them."""
        return self._residents

    def restore(self) -> None:
        """Points aliases and their canaries as they were at the last shutdown."""
        self._aliases.restore()
        self._canaries.restore()

    def point(self, alias: AliasName, revision: RevisionName, canary: CanarySplit | None = None) -> None:
        """Begins to serve `revision` under `alias`, and a part of it by `canary`.

        The present revision serves on until the new one is live; a canary gets nothing before it is.
        """
        self._aliases.point(alias, revision)
        self._canaries.follow(alias, revision, canary)

    def draw(self, name: str, choice: CanaryChoice) -> tuple[str, Draw | None]:
        """What a request for `name` is to lease, and its place in a trial, if chance decided.

        Raises `InvalidInput` (FIELD_INVALID) for a malformed name.
        """
        alias = alias_of(name)
        if alias is None or self._canaries.trial(alias) is None:
            return name, None
        try:
            serving = self._aliases.revision(name)
        except DomainError:  # it will be raised again, by the lease
            return name, None
        canary, draw = self._canaries.draw(alias, serving, choice)
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

    def expect(self, revision: RevisionName, digest: str) -> None:
        """The digest of a revision, known before the registry can be asked."""
        self._digests[revision] = digest

    def residents(self, tenant: str) -> list[tuple[Resident, list[str]]]:
        """Revisions of one tenant, by name, with the aliases that mean them here."""
        return [
            (resident, self._aliases.of(revision))
            for revision, resident in sorted(self._residents.items())
            if revision.tenant == tenant
        ]

    async def watch(self, tenant: str) -> AsyncIterator[tuple[Resident, list[str]] | None]:
        """The present state of each revision of a tenant, then every change; None is a heartbeat.

        A reader that falls behind is told the state that holds by then, not each one between. Raises `Unavailable`
        (NOT_SERVING) when the process drains.
        """
        told: dict[RevisionName, tuple[ResidentState, list[str], list[tuple[str, int]]]] = {}
        while True:
            mark, before = self._changes.mark(), dict(told)
            for resident, aliases in self.residents(tenant):
                now = (resident.state, aliases, self.canary_shares(resident.revision))
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

        Raises:
            InvalidInput: FIELD_INVALID for a malformed name.
            NotFound: ADAPTER_NOT_FOUND.
            Unavailable: ADAPTER_NOT_READY while the first revision of an alias is being loaded.
            StateConflict: ADAPTER_REJECTED for a revision that failed its checks, ADAPTER_QUARANTINED for one that
                computed NaN or infinity.
        """
        resident = await self.ensure(self._aliases.revision(name))
        while not resident.is_open:  # unloaded between the end of its load and our turn on the loop
            resident = await self.ensure(self._aliases.revision(name))
        resident.leases += 1
        resident.last_use = next(self._uses)
        try:
            yield resident
        except StateConflict as err:
            if err.reason == QUARANTINED:
                self._expel(resident, err)
            raise
        finally:
            resident.leases -= 1
            if resident.leases == 0:
                self._places.ring()
                if resident.state is ResidentState.DRAINING:
                    await asyncio.shield(self._unload(resident))

    def engine_lost(self) -> None:
        """The engine died, and every adapter with it. Aliases keep their meaning; leases end by themselves."""
        for resident in self._residents.values():
            if resident.is_served:
                resident.move(_out_of_engine(resident))

    async def engine_back(self) -> None:
        """Loads what aliases mean into the new engine, the last used first; what fails is tried at its next use."""
        wanted = [self._residents[revision] for revision in self._aliases.serving()]
        for resident in sorted(wanted, key=lambda resident: -resident.last_use)[: self._capacity]:
            try:
                await self.ensure(resident.revision)
            except DomainError as err:
                _log.warning("not reloaded", extra={"revision": str(resident.revision), "detail": str(err)})

    async def stop(self) -> None:
        """Ends promotions and loads that run."""
        await self._canaries.stop()
        await self._aliases.stop()
        tasks = [load.task for load in self._loads.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def ensure(self, revision: RevisionName) -> Resident:
        """The revision, loaded; loads are single-flight, and end when nobody waits for them any more."""
        while (load := self._loads.get(revision)) is not None and not load.waiting:
            await asyncio.wait({load.task})  # it is being cancelled, and nobody must wait for its result
        resident = self._residents.get(revision)
        if resident is not None and resident.is_open:
            return resident
        if load is None:
            load = self._loads[revision] = _Load(asyncio.create_task(self._load(revision)))
            load.task.add_done_callback(lambda _: self._loads.pop(revision, None))
        load.waiting += 1
        try:
            return await asyncio.shield(load.task)
        finally:
            load.waiting -= 1
            if not load.waiting:  # a load that is done takes no notice
                load.task.cancel()

    async def _load(self, revision: RevisionName) -> Resident:
        self._engine.check()
        resident = self._residents.get(revision)
        if resident is not None and resident.is_pardoned:
            self._meter.revision_forgotten(self._residents.pop(revision))
            resident = None
        if resident is None:
            digest = self._digests.get(revision) or await self._digest(revision)
            resident = self._residents[revision] = self._registered(revision, digest)
        elif resident.rejection:
            raise resident.refusal()
        if await self._places.take(resident):
            await self._loader.load(resident, self._places.digests)
            self._forget_old()
        return resident

    def _forget_old(self) -> None:
        """Revisions that left the engine are remembered while there is an alias for them, or not too many of them."""
        gone = [r for r in self._residents.values() if r.state in _GONE and not r.leases]
        if len(gone) > _MAX_REMEMBERED:
            meant = self._aliases.meant() | self._canaries.meant()
            for resident in sorted(gone, key=lambda resident: resident.last_use)[: -_MAX_REMEMBERED // 2]:
                if resident.revision not in meant:
                    del self._residents[resident.revision]
                    self._meter.revision_forgotten(resident)

    def _registered(self, revision: RevisionName, digest: str) -> Resident:
        def moved(before: ResidentState, seconds: float) -> None:
            self._meter.revision_moves(resident, before, seconds)
            self._changes.ring()
            self._places.ring()

        resident = Resident(revision, digest, moved)
        moved(resident.state, 0.0)
        return resident

    async def _digest(self, revision: RevisionName) -> str:
        try:
            return (await self._registry.revision(revision)).digest
        except NotFound as err:
            raise NotFound(
                "ADAPTER_NOT_FOUND", f"{revision} does not exist", metadata={"adapter": str(revision)}
            ) from err

    async def retire(self, resident: Resident) -> None:
        """Takes a live revision out of the engine once its last request ended, unless it is on trial."""
        if resident.state is ResidentState.LIVE and resident.revision not in self._canaries.meant():
            resident.move(ResidentState.DRAINING)
            if resident.leases == 0:
                await self._unload(resident)

    def _expel(self, resident: Resident, error: StateConflict) -> None:
        """Closes a revision that was found out; it leaves when its last request has ended, which the engine sees to.

        Aliases go on meaning it: what they should mean instead is its tenant's decision, not ours.
        """
        if not resident.rejection:
            self._loader.bar(resident, error)
        if resident.state is ResidentState.LIVE:
            resident.move(ResidentState.DRAINING)

    async def _release(self, canary: RevisionName) -> None:
        """A revision is on trial no more."""
        resident = self._residents.get(canary)
        if resident is not None and canary not in self._aliases.meant():
            await self.retire(resident)

    async def _unload(self, resident: Resident) -> None:
        """Removes a draining revision, unless somebody took it up again meanwhile."""
        if resident.state is ResidentState.DRAINING and resident.leases == 0:
            resident.move(_out_of_engine(resident))
            assert resident.key is not None
            await self._engine.remove_adapter(resident.key)


def _out_of_engine(resident: Resident) -> ResidentState:
    """Where a revision that served goes when it leaves."""
    return ResidentState.REJECTED if resident.rejection else ResidentState.UNLOADED
