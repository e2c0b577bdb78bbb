"""Every revision that is known on this replica, whatever became of it, and which of them are forgotten."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Mapping

from inference_svc.app.meter import UNOBSERVED, Meter
from inference_svc.domain.residency import Resident, ResidentState
from shared.names import RevisionName

_OUTSIDE = (ResidentState.REGISTERED, ResidentState.UNLOADED, ResidentState.REJECTED)
_MAX_REMEMBERED = 2_000
_NEIGHBOURS = 4
"""Adapters of a tenant that are loaded ahead when it comes: more would be guesses."""


class Roster:
    """Owns the residents. `moved` is called after each change of the state of one."""

    def __init__(self, moved: Callable[[Resident], None], meter: Meter = UNOBSERVED) -> None:
        self._moved, self._meter = moved, meter
        self._residents: dict[RevisionName, Resident] = {}
        self._tenants: defaultdict[str, dict[RevisionName, Resident]] = defaultdict(dict)
        self._kept = 0

    @property
    def known(self) -> Mapping[RevisionName, Resident]:
        """All of them."""
        return self._residents

    def of(self, tenant: str) -> dict[RevisionName, Resident]:
        """Those of one tenant, the one that became known last at the end."""
        return self._tenants.get(tenant, {})

    def neighbours(self, seen: Resident, is_meant: Callable[[RevisionName], bool]) -> list[Resident]:
        """The warmest of what its tenant's aliases mean and is not in the engine, the coldest first.

        Empty where the tenant has others that serve.
        """
        own = self.of(seen.revision.tenant)
        if any(resident.is_served for resident in own.values() if resident is not seen):
            return []
        latest = [resident for resident in reversed(own.values()) if is_meant(resident.revision)]
        warmest = heapq.nlargest(_NEIGHBOURS, latest, key=lambda resident: resident.warmth)
        return [resident for resident in reversed(warmest) if not resident.is_inside]

    def register(self, revision: RevisionName, digest: str = "") -> Resident:
        """The revision, known from now on if it was not; its digest may be told later."""
        found = self._residents.get(revision)
        if found is None:
            found = self._residents[revision] = self._tenants[revision.tenant][revision] = self._new(revision)
        found.digest = found.digest or digest
        return found

    def renew(self, pardoned: Resident) -> Resident:
        """A revision whose rejection is over begins a new life, as another resident."""
        if pardoned.is_pinned:
            pardoned.is_pinned = False
            self._meter.revision_pinned(pardoned)
        self._forget(pardoned)
        resident = self.register(pardoned.revision, pardoned.digest)
        resident.warmth = pardoned.warmth
        return resident

    def forget_old(self, is_kept: Callable[[RevisionName], bool]) -> None:
        """Of the revisions outside of the engine that nothing needs, though some never came in, so many stay known."""
        if len(self._residents) < self._kept + _MAX_REMEMBERED // 2:
            return
        loose = [
            resident
            for revision, resident in self._residents.items()
            if resident.state in _OUTSIDE and not resident.leases and not is_kept(revision)
        ]
        for resident in sorted(loose, key=lambda resident: resident.warmth)[: -_MAX_REMEMBERED // 2]:
            self._forget(resident)
        self._kept = len(self._residents)

    def _forget(self, resident: Resident) -> None:
        name = resident.revision
        del self._residents[name], self._tenants[name.tenant][name]
        if not self._tenants[name.tenant]:
            del self._tenants[name.tenant]
        self._meter.revision_forgotten(resident)

    def _new(self, revision: RevisionName) -> Resident:
        def moved(before: ResidentState, seconds: float) -> None:
            self._meter.revision_moves(resident, before, seconds)
            self._moved(resident)

        resident = Resident(revision, "", moved)
        self._meter.revision_moves(resident, resident.state, 0.0)
        return resident
