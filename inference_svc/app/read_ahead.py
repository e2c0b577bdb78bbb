"""Takes what an engine makes at the engine's pace, and hands it on at the reader's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

Item = TypeVar("Item")


async def read_ahead(source: AsyncGenerator[Item]) -> AsyncGenerator[Item]:
    """The items of `source`, which is read to its end whether anybody reads this or not.

    So a source that holds something while it runs (a place in the engine, a lease) holds it no longer than it must. All
    items may be in memory at once: for sources that are bounded by themselves. An error of the source is raised after
    the items before it. Closing this closes the source before it returns.
    """
    items: asyncio.Queue[Item | None] = asyncio.Queue()
    reader = asyncio.create_task(_read(source, items))
    try:
        while (item := await items.get()) is not None:
            yield item
        await reader
    finally:
        reader.cancel()
        await asyncio.wait({reader})


async def _read(source: AsyncGenerator[Item], items: asyncio.Queue[Item | None]) -> None:
    """Puts every item into the queue, and None at the end however it comes."""
    try:
        async with aclosing(source):
            async for item in source:
                items.put_nowait(item)
    finally:
        items.put_nowait(None)
