"""Loads of revisions: one at a time of each, for all who wait for it, and none that nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from inference_svc.domain.residency import Resident
from shared.names import RevisionName


@dataclass
class _Load:
    task: asyncio.Task[Resident]
    waiting: int = 0
    done: Resident | None = None


class Loads:
    """Runs them. `idle` is called when one who waited has gone on."""

    def __init__(self, idle: Callable[[], None]) -> None:
        self._idle = idle
        self._running: dict[RevisionName, _Load] = {}

    def __contains__(self, revision: RevisionName) -> bool:
        """Whether a revision is being loaded."""
        return revision in self._running

    async def cancelled(self, revision: RevisionName) -> None:
        """Returns when no load of a revision is being cancelled: nobody must wait for the result of such a one."""
        while (load := self._running.get(revision)) is not None and not load.waiting:
            await asyncio.wait({load.task})

    async def join(self, revision: RevisionName, work: Callable[[], Coroutine[None, None, Resident]]) -> Resident:
        """Waits for the load of a revision, which begins now unless it runs; it ends when nobody waits any more.

        Whoever goes on from here does so before anybody else can find the revision idle (`Resident.expected`).
        """
        load = self._running.get(revision)
        if load is None:
            load = self._running[revision] = _Load(asyncio.create_task(work()))
            load.task.add_done_callback(lambda _: self._running.pop(revision, None))
        load.waiting += 1
        if load.done is not None:  # it serves, and its task ends in this iteration of the loop
            load.done.expected += 1
        try:
            return await asyncio.shield(load.task)
        finally:
            load.waiting -= 1
            if load.done is not None:
                load.done.expected -= 1
                self._idle()
            elif not load.waiting:  # a load that failed takes no notice
                load.task.cancel()

    def succeeded(self, resident: Resident) -> None:
        """To be called by a load in the moment in which its revision serves.

        Else a newcomer could evict it before those who waited had their turn, and they it, and nobody would be served.
        """
        load = self._running[resident.revision]
        load.done = resident
        resident.expected += load.waiting

    async def stop(self) -> None:
        """Ends all."""
        tasks = [load.task for load in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
