"""Items at the reader's pace from a source that goes at its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from inference_svc.app.read_ahead import read_ahead

pytestmark = pytest.mark.asyncio


class Source:
    """Three numbers, then whatever `end` does; knows whether it was left."""

    def __init__(self, end: Exception | None = None, *, hangs: bool = False) -> None:
        self.end, self.hangs = end, hangs
        self.left = asyncio.Event()

    async def items(self) -> AsyncGenerator[int]:
        """The numbers."""
        try:
            for number in range(3):
                yield number
                await asyncio.sleep(0)
            if self.end is not None:
                raise self.end
            if self.hangs:
                await asyncio.Event().wait()
        finally:
            self.left.set()


class TestReadAhead:
    """What is between an engine and a slow reader."""

    async def test_hands_on_every_item_in_order(self) -> None:
        """Nothing is lost, nothing added."""
        assert [item async for item in read_ahead(Source().items())] == [0, 1, 2]

    async def test_lets_the_source_end_though_nobody_reads(self) -> None:
        """After the first item the reader stops for good; the source is done all the same."""
        source = Source()
        async with aclosing(read_ahead(source.items())) as items:
            assert await anext(items) == 0

            await source.left.wait()

            assert [item async for item in items] == [1, 2]

    async def test_raises_what_the_source_raised_after_its_items(self) -> None:
        """A failure in the middle does not swallow what was whole."""
        items = read_ahead(Source(ValueError("broken")).items())

        assert [await anext(items) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ValueError, match="broken"):
            await anext(items)

    async def test_closes_the_source_when_it_is_closed(self) -> None:
        """Before it returns: whoever closes it may rely on what the source held being free."""
        source = Source(hangs=True)
        items = read_ahead(source.items())
        assert await anext(items) == 0

        await items.aclose()

        assert source.left.is_set()

    async def test_closes_the_source_when_its_reader_is_cancelled(self) -> None:
        """While it waits for an item that does not come."""
        source = Source(hangs=True)

        async def read() -> None:
            async with aclosing(read_ahead(source.items())) as items:
                async for _ in items:
                    pass

        reader = asyncio.create_task(read())
        for _ in range(10):
            await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader

        assert source.left.is_set()
