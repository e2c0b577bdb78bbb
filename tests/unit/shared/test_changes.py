"""The bell that wakes those who watch."""

from __future__ import annotations

import asyncio

import pytest

from shared.changes import Changes

pytestmark = pytest.mark.asyncio


class TestChanges:
    """What `Changes.wait` returns or raises."""

    async def test_tells_a_ring_from_the_end_of_the_time(self) -> None:
        """True for one that came since the mark was taken, though before the wait."""
        changes = Changes()
        mark = changes.mark()
        changes.ring()

        assert await Changes.wait(mark, 10.0)
        assert not await Changes.wait(changes.mark(), 0.0)

    async def test_ends_when_cancelled_though_the_bell_rings_in_that_moment(self) -> None:
        """Who calls off a load must not find it still waiting for a place."""
        changes = Changes()
        waiting = asyncio.create_task(Changes.wait(changes.mark(), 10.0))
        await asyncio.sleep(0)

        changes.ring()
        waiting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting
