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
    asked: int = 0
    """Of those who wait, the requests."""
    done: Resident | None = None


class Loads:
    """Runs them. `changed` is called when one who waited has gone on, or a request begins to wait."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._running: dict[RevisionName, _Load] = {}

    def __contains__(self, revision: RevisionName) -> bool:
        """Whether a revision is being loaded."""
        return revision in self._running

    def is_asked(self, revision: RevisionName) -> bool:
        """Whether a request waits for the load of a revision."""
        load = self._running.get(revision)
        return load is not None and load.asked > 0

    async def cancelled(self, revision: RevisionName) -> None:
        """Returns when no load of a revision is being cancelled: nobody must wait for the result of such a one."""
        while (load := self._running.get(revision)) is not None and not load.waiting:
            await asyncio.wait({load.task})

    async def join(
        self, revision: RevisionName, work: Callable[[], Coroutine[None, None, Resident]], *, asked: bool
    ) -> Resident:
        """Waits for the load of a revision, which begins now unless it runs; it ends when nobody waits any more.

        `asked` says whether who waits is a request.

        Whoever goes on from here does so before anybody else can find the revision idle (`Resident.expected`).
        """
        load = self._running.get(revision)
        if load is None:
            load = self._running[revision] = _Load(asyncio.create_task(work()))
            load.task.add_done_callback(lambda _: self._running.pop(revision, None))
        load.waiting += 1
        load.asked += asked
        if asked:
            self._changed()
        try:
            return await asyncio.shield(load.task)
        finally:
            load.waiting -= 1
            load.asked -= asked
            if load.done is not None:
                load.done.expected -= 1
                self._changed()
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
