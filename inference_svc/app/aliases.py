"""What each alias means on this replica: promotion with retries, and the file that outlives a restart."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from inference_svc.app.meter import UNOBSERVED, Meter
from inference_svc.domain.residency import Resident, ResidentState
from shared.changes import Changes
from shared.errors import NotFound, Unavailable
from shared.files import write_atomic
from shared.names import AdapterName, AliasName, RevisionName

_log = logging.getLogger(__name__)

LIVE_ALIAS = "live"
_RETRY_SECONDS = 1.0
_FIRST_RETRY_SECONDS, _MAX_RETRY_SECONDS = 0.2, 30.0


class Revisions(Protocol):
    """What aliases need of the fleet."""

    @property
    def known(self) -> Mapping[RevisionName, Resident]:
        """The revisions that were asked for here so far, whatever became of them."""

    def expect(self, revision: RevisionName, digest: str) -> None:
        """The digest of a revision, known before the registry can be asked."""

    async def ensure(self, revision: RevisionName) -> Resident:
        """The revision, loaded. Raises `DomainError` when it cannot be."""

    async def retire(self, resident: Resident) -> None:
        """Takes a live revision out of the engine once its last request ended."""


class Aliases:
    """Owns what aliases mean; all methods run on one event loop, so plain assignments are atomic.

    An alias flips only after its new revision serves. A replaced revision that no other alias means is retired, and
    stays on disk for a roll back.
    """

    def __init__(self, revisions: Revisions, *, state_file: Path, changes: Changes, meter: Meter = UNOBSERVED) -> None:
        self._revisions, self._state_file = revisions, state_file
        self._changes, self._meter = changes, meter
        self._wanted: dict[AliasName, RevisionName] = {}
        self._serving: dict[AliasName, RevisionName] = {}
        self._promotions: set[asyncio.Task[None]] = set()

    def restore(self) -> None:
        """Points the aliases as they were at the last shutdown, so that a replica serves without its registry."""
        if not self._state_file.is_file():
            return
        for alias, entry in json.loads(self._state_file.read_bytes()).items():
            revision = RevisionName.parse(entry["revision"])
            self._revisions.expect(revision, entry["digest"])
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

    def revision(self, name: str) -> RevisionName:
        """The revision that `name`, an adapter (its alias `live`), an alias or a revision, means now.

        Raises:
            InvalidInput: FIELD_INVALID for a malformed name.
            NotFound: ADAPTER_NOT_FOUND, also for an alias whose only revision was rejected.
            Unavailable: ADAPTER_NOT_READY while the first revision of an alias is being loaded.
        """
        if "/revisions/" in name:
            return RevisionName.parse(name, "prompt.adapter")
        alias = (
            AliasName.parse(name, "prompt.adapter")
            if "/aliases/" in name
            else _live(AdapterName.parse(name, "prompt.adapter"))
        )
        if alias in self._serving:
            return self._serving[alias]
        if alias not in self._wanted:
            raise NotFound(
                "ADAPTER_NOT_FOUND",
                f"{alias} is not known to this replica",
                hint="train an adapter first, or set its alias",
                metadata={"adapter": name},
            )
        pending = self._revisions.known.get(self._wanted[alias])
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

    def of(self, revision: RevisionName) -> list[str]:
        """The aliases that mean a revision here, by name."""
        return sorted(str(alias) for alias, serving in self._serving.items() if serving == revision)

    def serving(self) -> set[RevisionName]:
        """What aliases mean now."""
        return set(self._serving.values())

    def meant(self) -> set[RevisionName]:
        """What aliases mean now, or will once it is loaded."""
        return {*self._serving.values(), *self._wanted.values()}

    async def stop(self) -> None:
        """Ends promotions that run."""
        for task in self._promotions:
            task.cancel()
        await asyncio.gather(*self._promotions, return_exceptions=True)

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
            await self._revisions.retire(self._revisions.known[before])

    async def _wanted_resident(self, alias: AliasName, revision: RevisionName) -> Resident | None:
        """The loaded revision; None when it is rejected, or another one is wanted by now.

        Anything else that goes wrong (registry away, disk full, no free slot) is tried again while it is wanted.
        """
        delay = _FIRST_RETRY_SECONDS
        while self._wanted.get(alias) == revision:
            try:
                resident = await self._revisions.ensure(revision)
            except Exception as err:
                _log.exception("revision not promoted", extra={"revision": str(revision), "detail": str(err)})
                found = self._revisions.known.get(revision)
                if found is not None and found.state is ResidentState.REJECTED:
                    return None
                await asyncio.sleep(delay)
                delay = min(_MAX_RETRY_SECONDS, 2 * delay)
                continue
            return resident if self._wanted.get(alias) == revision else None
        return None

    def _save(self) -> None:
        body = {
            str(alias): {"revision": str(revision), "digest": self._revisions.known[revision].digest}
            for alias, revision in self._serving.items()
        }
        write_atomic(self._state_file, json.dumps(body, indent=1).encode())


def _live(adapter: AdapterName) -> AliasName:
    return AliasName(adapter.tenant, adapter.id, LIVE_ALIAS)
