"""The adapters of this replica: which revision each alias means here, and who may use it."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from inference_svc.app.loader import Loader
from inference_svc.app.meter import UNOBSERVED, Meter
from inference_svc.app.places import Places
from inference_svc.app.ports import InferenceEngine, Registry
from inference_svc.domain.residency import Resident, ResidentState
from shared.changes import Changes
from shared.errors import DomainError, NotFound, Unavailable
from shared.files import write_atomic
from shared.names import AdapterName, AliasName, RevisionName

_log = logging.getLogger(__name__)

LIVE_ALIAS = "live"
_RETRY_SECONDS = 1.0
_FIRST_RETRY_SECONDS, _MAX_RETRY_SECONDS = 0.2, 30.0
_GONE = (ResidentState.UNLOADED, ResidentState.REJECTED)
_MAX_REMEMBERED = 2_000
HEARTBEAT_SECONDS = 15.0


@dataclass
class _Load:
    task: asyncio.Task[Resident]
    waiting: int = 0


class Fleet:
    """Owns residents and aliases; all methods run on one event loop, so plain assignments are atomic.

    An alias flips only after its new revision serves. Requests hold a lease on the revision they began with; a replaced
    revision leaves the engine at zero leases and stays on disk for a roll back.
    """

    def __init__(
        self, *, loader: Loader, engine: InferenceEngine, registry: Registry, state_file: Path, capacity: int,
        meter: Meter = UNOBSERVED,
    ) -> None:  # fmt: skip
        self._loader, self._engine, self._registry = loader, engine, registry
        self._state_file, self._capacity = state_file, capacity
        self._residents: dict[RevisionName, Resident] = {}
        self._wanted: dict[AliasName, RevisionName] = {}
        self._serving: dict[AliasName, RevisionName] = {}
        self._loads: dict[RevisionName, _Load] = {}
        self._promotions: set[asyncio.Task[None]] = set()
        self._places = Places(capacity, self._unload, meter)
        self._uses = itertools.count(1)
        self._digests: dict[RevisionName, str] = {}
        self._changes, self._meter = Changes(), meter

    def restore(self) -> None:
        """Points the aliases as they were at the last shutdown, so that a replica serves without its registry."""
        if not self._state_file.is_file():
            return
        for alias, entry in json.loads(self._state_file.read_bytes()).items():
            revision = RevisionName.parse(entry["revision"])
            self._digests[revision] = entry["digest"]
            self.point(AliasName.parse(alias), revision)

    def point(self, alias: AliasName, revision: RevisionName) -> None:
        """Begins to serve `revision` under `alias`; the present revision serves on until the new one is live.

        An alias that is new here is loaded ahead of its first request as long as there are free places.
        """
        self._wanted[alias] = revision
        if self._serving.get(alias) == revision:
            return
        task = asyncio.create_task(self._promote(alias, revision))
        self._promotions.add(task)
        task.add_done_callback(self._promotions.discard)

    def residents(self, tenant: str) -> list[tuple[Resident, list[str]]]:
        """Revisions of one tenant, by name, with the aliases that mean them here."""
        found = []
        for revision, resident in sorted(self._residents.items()):
            if revision.tenant == tenant:
                found.append((resident, sorted(str(a) for a, r in self._serving.items() if r == revision)))
        return found

    async def watch(self, tenant: str) -> AsyncIterator[tuple[Resident, list[str]] | None]:
        """The present state of each revision of a tenant, then every change; None is a heartbeat.

        A reader that falls behind is told the state that holds by then, not each one between. Raises `Unavailable`
        (NOT_SERVING) when the process drains.
        """
        told: dict[RevisionName, tuple[ResidentState, list[str]]] = {}
        while True:
            mark, before = self._changes.mark(), dict(told)
            for resident, aliases in self.residents(tenant):
                if told.get(resident.revision) != (resident.state, aliases):
                    told[resident.revision] = (resident.state, aliases)
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
            StateConflict: ADAPTER_REJECTED for a revision that failed its checks.
        """
        resident = await self._resolve(name)
        while not resident.is_open:  # unloaded between the end of its load and our turn on the loop
            resident = await self._resolve(name)
        resident.leases += 1
        resident.last_use = next(self._uses)
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
        for resident in self._residents.values():
            if resident.is_served:
                resident.move(ResidentState.UNLOADED)

    async def engine_back(self) -> None:
        """Loads what aliases mean into the new engine, the last used first; what fails is tried at its next use."""
        wanted = [self._residents[revision] for revision in set(self._serving.values())]
        for resident in sorted(wanted, key=lambda resident: -resident.last_use)[: self._capacity]:
            try:
                await self._ensure(resident.revision)
            except DomainError as err:
                _log.warning("not reloaded", extra={"revision": str(resident.revision), "detail": str(err)})

    async def stop(self) -> None:
        """Ends loads that run."""
        tasks = [*self._promotions, *(load.task for load in self._loads.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _resolve(self, name: str) -> Resident:
        if "/revisions/" in name:
            return await self._ensure(RevisionName.parse(name, "prompt.adapter"))
        alias = (
            AliasName.parse(name, "prompt.adapter")
            if "/aliases/" in name
            else _live(AdapterName.parse(name, "prompt.adapter"))
        )
        if alias in self._serving:
            return await self._ensure(self._serving[alias])
        if alias not in self._wanted:
            raise NotFound(
                "ADAPTER_NOT_FOUND",
                f"{alias} is not known to this replica",
                hint="train an adapter first, or set its alias",
                metadata={"adapter": name},
            )
        pending = self._residents.get(self._wanted[alias])
        if pending is not None and pending.state is ResidentState.REJECTED:
            raise NotFound(
                "ADAPTER_NOT_FOUND", f"{pending.revision} was rejected: {pending.rejection}", metadata={"adapter": name}
            )
        raise Unavailable(
            "ADAPTER_NOT_READY",
            f"{alias} is being loaded",
            retry_after_seconds=_RETRY_SECONDS,
            metadata={"adapter": name},
        )

    async def _ensure(self, revision: RevisionName) -> Resident:
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
        if resident is None:
            digest = self._digests.get(revision) or await self._digest(revision)
            resident = self._residents[revision] = self._registered(revision, digest)
        elif resident.state is ResidentState.REJECTED:
            raise NotFound("ADAPTER_NOT_FOUND", f"{revision} was rejected: {resident.rejection}")
        if await self._places.take(resident):
            await self._loader.load(resident, self._places.digests)
            self._forget_old()
        return resident

    def _forget_old(self) -> None:
        """Revisions that left the engine are remembered while there is an alias for them, or not too many of them."""
        gone = [r for r in self._residents.values() if r.state in _GONE and not r.leases]
        if len(gone) > _MAX_REMEMBERED:
            meant = {*self._serving.values(), *self._wanted.values()}
            for resident in sorted(gone, key=lambda resident: resident.last_use)[: -_MAX_REMEMBERED // 2]:
                if resident.revision not in meant:
                    del self._residents[resident.revision]

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

    async def _promote(self, alias: AliasName, revision: RevisionName) -> None:
        resident = await self._wanted_resident(alias, revision)
        if resident is None:
            return
        if resident.state is ResidentState.DRAINING:  # rolled back to while its last requests still run
            resident.move(ResidentState.LIVE)
        before = self._serving.get(alias)
        self._serving[alias] = revision
        if before != revision:
            self._meter.alias_flips(alias, revision)
        self._changes.ring()
        self._save()
        _log.info("alias flipped", extra={"alias": str(alias), "revision": str(revision)})
        if before is not None and before != revision and before not in self._serving.values():
            await self._retire(self._residents[before])

    async def _wanted_resident(self, alias: AliasName, revision: RevisionName) -> Resident | None:
        """The loaded revision; None when it is rejected, or another one is wanted by now.

        Anything else that goes wrong (registry away, disk full, no free slot) is tried again while it is wanted.
        """
        delay = _FIRST_RETRY_SECONDS
        while self._wanted.get(alias) == revision:
            try:
                resident = await self._ensure(revision)
            except Exception as err:
                _log.exception("revision not promoted", extra={"revision": str(revision), "detail": str(err)})
                found = self._residents.get(revision)
                if found is not None and found.state is ResidentState.REJECTED:
                    return None
                await asyncio.sleep(delay)
                delay = min(_MAX_RETRY_SECONDS, 2 * delay)
                continue
            return resident if self._wanted.get(alias) == revision else None
        return None

    async def _retire(self, resident: Resident) -> None:
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

    def _save(self) -> None:
        body = {
            str(alias): {"revision": str(revision), "digest": self._residents[revision].digest}
            for alias, revision in self._serving.items()
        }
        write_atomic(self._state_file, json.dumps(body, indent=1).encode())


def _live(adapter: AdapterName) -> AliasName:
    return AliasName(adapter.tenant, adapter.id, LIVE_ALIAS)
