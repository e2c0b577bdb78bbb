"""Loads adapters that will probably be asked for into places that are free. Nobody makes room for them."""

from __future__ import annotations

import asyncio
import enum
import itertools
import logging
import time
from collections.abc import Awaitable, Callable

from shared.changes import Changes
from shared.errors import DomainError, Unavailable
from shared.names import RevisionName

_log = logging.getLogger(__name__)

_QUIET_SECONDS, _MAX_QUIET_SECONDS = 0.05, 2.0
"""Without another wish until the best of them is loaded: a registry tells its thousands of aliases one by one."""


class Reason(enum.IntEnum):
    """Why something is loaded ahead, the better reason last."""

    CHANGED = 1
    """Its alias was pointed at it, and nobody has asked for it here."""
    USED = 2
    """It was in use before the engine or the process came back."""
    NEIGHBOUR = 3
    """Its tenant began to ask for another adapter."""
    LOST = 4
    """It was in the engine when that died."""


class Prefetch:
    """One load at a time, the best wish first; a wish for which there is no free place is dropped.

    The last free place is left to whoever comes cold, but by what had one. What nobody ever asked for leaves half of
    the places free, so that a new replica of thousands of aliases has places for those that are asked for.

    `first` returns when it is time for the first wish; `load` takes a revision and how many places must stay free, and
    returns whether the revision got one.
    """

    def __init__(
        self, first: Callable[[], Awaitable[None]], load: Callable[[RevisionName, int], Awaitable[bool]], places: int
    ) -> None:
        self._first, self._load = first, load
        self._places = places
        self._spare = {Reason.CHANGED: max(1, places // 2), Reason.LOST: 0}
        self._wishes: dict[RevisionName, tuple[Reason, float]] = {}
        self._failed: dict[RevisionName, tuple[Reason, float]] = {}
        self._order = itertools.count(1)
        self._changes = Changes()
        self._task: asyncio.Task[None] | None = None

    def wish(self, revision: RevisionName, reason: Reason, rank: float | None = None) -> None:
        """Loads a revision ahead if it can be; of one reason the higher rank comes first, by default the later wish."""
        self._wishes[revision] = (reason, next(self._order) if rank is None else rank)
        if len(self._wishes) > 4 * self._places:
            best = sorted(self._wishes.items(), key=lambda wish: wish[1], reverse=True)
            self._wishes = dict(best[: self._places])
        self._changes.ring()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def try_again(self) -> None:
        """Wishes once more for what could not be loaded, because the engine died or the registry was away."""
        failed, self._failed = self._failed, {}
        for revision, (reason, rank) in failed.items():
            if revision not in self._wishes:
                self.wish(revision, reason, rank)

    async def done(self) -> None:
        """Returns when no wish is left."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def stop(self) -> None:
        """Ends the load that runs, and forgets all wishes."""
        self._wishes.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._wishes:
            latest = time.monotonic() + _MAX_QUIET_SECONDS
            while await Changes.wait(self._changes.mark(), _QUIET_SECONDS) and time.monotonic() < latest:
                pass
            await self._first()
            while self._wishes:
                revision = max(self._wishes, key=self._wishes.__getitem__)
                wish = self._wishes.pop(revision)
                try:
                    await self._load(revision, self._spare.get(wish[0], 1))
                except DomainError as err:  # whoever asks for it will be told
                    _log.info("not loaded ahead", extra={"revision": str(revision), "reason": err.reason})
                    if isinstance(err, Unavailable) and len(self._failed) < self._places:
                        self._failed[revision] = wish
                except Exception:  # nobody waits for it, and a fault with one must not end the loads of others
                    _log.exception("not loaded ahead", extra={"revision": str(revision)})
