"""What each alias means on this replica, and what has to be in the engine for that."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path

from inference_svc.app.alias_file import AliasFile
from inference_svc.app.meter import UNOBSERVED, Meter
from inference_svc.app.revisions import Revisions
from inference_svc.domain.alias_name import alias_of
from inference_svc.domain.residency import Resident, ResidentState
from shared.changes import Changes
from shared.errors import NotFound
from shared.names import AliasName, RevisionName

_log = logging.getLogger(__name__)

_FIRST_RETRY_SECONDS, _MAX_RETRY_SECONDS = 0.2, 30.0
_PINNED_SECONDS = 60.0
"""Until others are loaded, or readiness is told, although a pinned adapter is not there."""
_AT_ONCE = 4
"""Loads that nobody asked for: more would only wait for each other, and requests' own loads for them."""


class Aliases:
    """Owns what aliases mean; all methods run on one event loop, so plain assignments are atomic.

    An alias that is pointed elsewhere flips as soon as its new revision serves. While the present one is in the engine
    it serves on, and the new one is loaded in the background. Otherwise nobody is served by it that could wait: the
    next request, or whoever else loads the new revision, does; where it cannot be loaded, the one that served before
    is (`stand_in`). A revision that is rejected never takes over; one that is rejected for a time is tried again. A
    replaced revision that no other alias means is retired, and stays on disk for a roll back.

    A revision that served and was found out since stays what its alias means, whose requests are refused: what it
    should mean instead is its tenant's decision.

    What a pinned alias means is loaded in the background whenever it is not in the engine.
    """

    def __init__(self, revisions: Revisions, *, state_file: Path, changes: Changes, meter: Meter = UNOBSERVED) -> None:
        self._revisions, self._changes, self._meter = revisions, changes, meter
        self._wanted: dict[AliasName, RevisionName] = {}
        self._serving: dict[AliasName, RevisionName] = {}
        self._named: defaultdict[RevisionName, set[AliasName]] = defaultdict(set)
        """Aliases by the revisions that they serve or want."""
        self._pins: AbstractSet[AliasName] = frozenset()
        self._tasks: dict[AliasName, asyncio.Task[None]] = {}
        self._rests: dict[AliasName, float] = {}
        """Seconds until the next try of what could not be brought."""
        self._loading = asyncio.Semaphore(_AT_ONCE)
        self._ending: set[asyncio.Task[None]] = set()
        self._file = AliasFile(state_file, self._served)

    def restore(self) -> list[RevisionName]:
        """Points the aliases as they were at the last shutdown, so that a replica serves without its registry.

        They are loaded when they are asked for; returns what they mean, the warmest first.
        """
        for place, saved in enumerate(self._file.read(), 1):
            resident = self._revisions.register(saved.revision, saved.digest)
            resident.warmth = max(resident.warmth, -float(place))  # colder than whatever is used from now on
            self._wanted[saved.alias] = self._serving[saved.alias] = saved.revision
            self._named[saved.revision].add(saved.alias)
        return list(self._named)

    def point(self, alias: AliasName, revision: RevisionName) -> None:
        """Begins to serve `revision` under `alias` as soon as it is loaded."""
        before = self._wanted.pop(alias, None)
        self._wanted[alias] = revision  # the last one now
        self._named[revision].add(alias)
        self._forget_name(alias, before)
        if before is None and alias in self._pins:
            self._meter.pins_change(len(self.unknown_pins))
        resident = self._revisions.register(revision)
        if resident.is_served and not resident.rejection:
            self._flip(alias, resident)
        if before != revision:
            self._end_task(alias)
            self._rests.pop(alias, None)
        self._review(alias, before)
        self._changes.ring()

    def pin(self, pins: AbstractSet[AliasName]) -> None:
        """What these aliases mean, and no other revision, stays in the engine from now on."""
        changed, self._pins = self._pins ^ pins, pins
        for alias in changed:
            self._review(alias)
        self._meter.pins_change(len(self.unknown_pins))

    @property
    def unknown_pins(self) -> AbstractSet[AliasName]:
        """Pinned aliases that nobody has pointed at anything here."""
        return self._pins - self._wanted.keys()

    async def pinned(self) -> None:
        """Returns when each pinned alias is served, cannot be, or is not for long."""
        tasks = [self._tasks[alias] for alias in self._pins if alias in self._tasks]
        if tasks:
            await asyncio.wait(tasks, timeout=_PINNED_SECONDS)

    def renewed(self, revision: RevisionName) -> None:
        """A revision that was rejected for a time is another resident now."""
        self._pin_as_it_means(revision)

    def moved(self, resident: Resident) -> None:
        """Flips the aliases that were to mean a revision, if it serves now, and brings back what is pinned.

        A revision that is to be replaced and is back serves its aliases again: what replaces it is loaded.
        """
        if resident.revision not in self._named:
            return
        for alias in sorted(self._named[resident.revision]):
            if resident.state is ResidentState.LIVE and self._wanted[alias] == resident.revision:
                self._flip(alias, resident)
            is_back = resident.state is ResidentState.LIVE and self._wanted[alias] != resident.revision
            if is_back or resident.state is ResidentState.REJECTED:
                self._review(alias, resident.revision)

    def engine_back(self) -> None:
        """Begins to load what is pinned into an engine that is empty."""
        self._rests.clear()
        for alias in {*self._tasks, *self._pins}:
            self._end_task(alias)  # it may sleep until its next try
            self._review(alias)

    def revision(self, name: str) -> RevisionName:
        """The revision that `name`, an adapter (its alias `live`), an alias or a revision, means now.

        Raises:
            InvalidInput: FIELD_INVALID for a malformed name.
            NotFound: ADAPTER_NOT_FOUND, also for an alias that means a revision that is rejected.
            StateConflict: ADAPTER_QUARANTINED for an alias whose revision computed NaN or infinity.
        """
        alias = alias_of(name)
        if alias is None:
            return RevisionName.parse(name, "prompt.adapter")
        meant = self.meaning(alias)
        if meant is None:
            raise NotFound(
                "ADAPTER_NOT_FOUND",
                f"{alias} is not known to this replica",
                hint="train an adapter first, or set its alias",
                metadata={"adapter": name},
            )
        if (found := self._revisions.known[meant]).is_barred:
            raise replace(found.refusal(), metadata={"adapter": name})
        return meant

    def meaning(self, alias: AliasName) -> RevisionName | None:
        """What an alias means now, be it loaded, rejected or neither; None where it is not known."""
        return self._meaning(alias) if alias in self._wanted else None

    def stand_in(self, name: str) -> RevisionName | None:
        """What an alias served last and may serve while what is wanted instead cannot be loaded; None: nothing."""
        alias = alias_of(name)
        serving = self._serving.get(alias) if alias is not None else None
        if alias is None or serving is None or serving == self._wanted[alias]:
            return None
        return None if self._revisions.known[serving].is_barred else serving

    def of(self, revision: RevisionName) -> list[str]:
        """The aliases that mean a revision here, by name."""
        named = self._named.get(revision, ())
        return sorted(str(alias) for alias in named if self._meaning(alias) == revision)

    def is_named(self, revision: RevisionName) -> bool:
        """Whether an alias means a revision now, or will once it is loaded."""
        return revision in self._named

    async def stop(self) -> None:
        """Ends promotions that run, and keeps what was reached."""
        tasks = [*self._tasks.values(), *self._ending]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._file.stop()

    def _meaning(self, alias: AliasName) -> RevisionName:
        """What serves, as long as it does or nothing else can; else what is wanted."""
        wanted, serving = self._wanted[alias], self._serving.get(alias)
        if serving is None or serving == wanted:
            return wanted
        known = self._revisions.known
        return serving if known[serving].is_open or known[wanted].is_barred else wanted

    def _flip(self, alias: AliasName, resident: Resident) -> None:
        if resident.state is ResidentState.DRAINING:  # rolled back to while its last requests still run
            resident.move(ResidentState.LIVE)
        before = self._serving.get(alias)
        if before == resident.revision:
            return
        self._serving[alias] = resident.revision
        self._rests.pop(alias, None)
        self._meter.alias_flips(alias, resident.revision)
        self._changes.ring()
        self._file.save()
        _log.info("alias flipped", extra={"alias": str(alias), "revision": str(resident.revision)})
        self._forget_name(alias, before)
        self._pin_as_it_means(resident.revision, before)
        if before is not None and before not in self._named:
            self._end(asyncio.create_task(self._retire(before)))

    async def _retire(self, revision: RevisionName) -> None:
        resident = self._revisions.known.get(revision)  # None: it was not in the engine, and is forgotten by now
        if resident is not None and revision not in self._named:  # nor rolled back to since
            await self._revisions.retire(resident)

    def _end(self, task: asyncio.Task[None]) -> None:
        """Keeps a task until it is over."""
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _end_task(self, alias: AliasName) -> None:
        """Ends what is being loaded for an alias."""
        task = self._tasks.pop(alias, None)
        if task is not None:
            task.cancel()
            self._end(task)

    def _forget_name(self, alias: AliasName, revision: RevisionName | None) -> None:
        if revision is not None and revision not in (self._wanted[alias], self._serving.get(alias)):
            self._named[revision].discard(alias)
            if not self._named[revision]:
                del self._named[revision]

    def _review(self, alias: AliasName, before: RevisionName | None = None) -> None:
        """Pins what an alias means, and begins to load what it has to have in the engine."""
        if alias not in self._wanted:
            return
        self._pin_as_it_means(self._wanted[alias], self._serving.get(alias), before)
        if alias not in self._tasks and self._missing(alias) is not None:
            self._tasks[alias] = asyncio.create_task(self._bring(alias))

    def _pin_as_it_means(self, *revisions: RevisionName | None) -> None:
        for revision in revisions:
            resident = self._revisions.known.get(revision) if revision is not None else None
            if resident is None:
                continue
            pins = self._pins & self._named.get(resident.revision, set())
            is_pinned = any(self._meaning(alias) == resident.revision for alias in pins)
            if is_pinned != resident.is_pinned:
                resident.is_pinned = is_pinned
                self._revisions.pin_changed(resident)

    def _missing(self, alias: AliasName) -> RevisionName | None:
        """What has to be loaded although nobody asks: all that is pinned, and what replaces a revision that serves."""
        known, wanted, serving = self._revisions.known, self._wanted[alias], self._serving.get(alias)
        is_served = serving is not None and known[serving].is_served and not known[serving].rejection
        is_first = is_served or not known[wanted].is_barred  # else what it meant before, until a bar for a time ends
        order = (wanted, serving) if is_first else (serving, wanted)
        best = next((r for r in order if r is not None and not known[r].is_condemned), None)
        if best is None or (serving == best and is_served):
            return None
        return best if is_served or alias in self._pins else None

    async def _bring(self, alias: AliasName) -> None:
        """Loads what an alias has to have in the engine.

        Whatever goes wrong (registry away, disk full) is tried again for as long as that is so; whoever else begins to
        bring the same rests as long before its first try.
        """
        try:
            while (revision := self._missing(alias)) is not None:
                if alias in self._rests:
                    await asyncio.sleep(self._rests[alias])
                    if self._missing(alias) != revision:
                        continue
                try:
                    async with self._loading:
                        await self._revisions.ensure(revision)
                    self._rests.pop(alias, None)
                except Exception as err:
                    _log.exception("revision not promoted", extra={"revision": str(revision), "detail": str(err)})
                    self._rests[alias] = min(_MAX_RETRY_SECONDS, 2 * self._rests.get(alias, _FIRST_RETRY_SECONDS / 2))
                    await self._bring_stand_in(alias)
        finally:
            if self._tasks.get(alias) is asyncio.current_task():
                del self._tasks[alias]

    async def _bring_stand_in(self, alias: AliasName) -> None:
        """What is pinned serves on with what served last, if that is not in the engine."""
        before = self.stand_in(str(alias))
        if alias in self._pins and before is not None and not self._revisions.known[before].is_served:
            try:
                await self._revisions.ensure(before)
            except Exception:  # whatever it is, the wanted one is tried again
                _log.exception("revision not brought back", extra={"revision": str(before)})

    def _served(self) -> list[tuple[AliasName, Resident]]:
        return [(alias, self._revisions.known[revision]) for alias, revision in self._serving.items()]
