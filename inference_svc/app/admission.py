"""Lets a bounded number of requests run and a bounded number wait; refuses the rest at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.errors import Exhausted, Unavailable

_RETRY_SECONDS = 1.0


class Admission:
    """First come, first served, within two limits. Not for use across event loops."""

    def __init__(self, *, running: int, queued: int) -> None:
        self._slots = asyncio.Semaphore(running)
        self._limit = queued
        self._waiting = 0
        self._closed = False

    def close(self) -> None:
        """Refuses everything from now on; requests that run or wait are served."""
        self._closed = True

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Holds one place in the engine.

        Raises:
            Unavailable: NOT_SERVING while the process drains.
            Exhausted: QUEUE_FULL with a time to retry after.
        """
        if self._closed:
            raise Unavailable("NOT_SERVING", "the replica drains", retry_after_seconds=_RETRY_SECONDS)
        if self._slots.locked() and self._waiting >= self._limit:
            raise Exhausted("QUEUE_FULL", f"{self._waiting} requests wait already", retry_after_seconds=_RETRY_SECONDS)
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()
