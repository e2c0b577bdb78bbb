"""Wakes those who watch when something was written."""

from __future__ import annotations

import asyncio


class Changes:
    """A bell. Watchers read the store, then wait for the next ring; no ring between the two is missed."""

    def __init__(self) -> None:
        self._ring = asyncio.Event()
        self.closed = False

    def mark(self) -> asyncio.Event:
        """Take it before reading the store; wait on it after."""
        return self._ring

    def ring(self) -> None:
        """Wakes everybody who took a mark before now."""
        before, self._ring = self._ring, asyncio.Event()
        before.set()

    def close(self) -> None:
        """Ends every watch: the process drains."""
        self.closed = True
        self.ring()

    @staticmethod
    async def wait(mark: asyncio.Event, timeout_seconds: float) -> bool:
        """Whether the bell rang before the time was up."""
        try:
            # Not `wait_for`: until Python 3.12 it swallows a cancellation that comes with the ring.
            async with asyncio.timeout(timeout_seconds):
                await mark.wait()
        except TimeoutError:
            return False
        return True
