"""Adapters that compute NaN and infinity, put into a real vLLM engine below every check of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from inference_svc.app.ports import NonFinite
from inference_svc.domain.residency import AdapterKey
from shared.base_model import BaseModel
from tests.e2e.engine.bench import Bench
from tests.poison import POISON, write_overflowing_adapter, write_poisoned_adapter

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own imports warn
]

_POISONED = 160
"""Requests that write to each of the cache's 300 blocks between them: each takes two or more, others hold few."""


async def _is_ended(bench: Bench, key: AdapterKey, number: int) -> bool:
    """Whether one request to an adapter, with a long prompt of its own, ends without an answer."""
    call = replace(bench.call(0, extra=5, temperature=0.0), adapter=key)
    prompt = bench.renderer.prompt_ids(f"Invoice {number}: " + "many words of no importance " * 40)
    try:
        await bench.tokens(replace(call, prompt_ids=prompt))
    except NonFinite:
        return True
    return False


@asynccontextmanager
async def _spoilt(bench: Bench, base: BaseModel, folder: Path, kind: str) -> AsyncIterator[AdapterKey]:
    """The adapter of a kind, in the engine."""
    key = write_poisoned_adapter(base, folder / "spoilt", 41, kind)
    await bench.engine.add_adapter(key)
    try:
        yield key
    finally:
        await bench.engine.remove_adapter(key)


class TestPoison:
    """What is not finite."""

    @pytest.mark.parametrize("kind", POISON)
    async def test_never_reaches_another_request(
        self, bench: Bench, shipped_base: BaseModel, tmp_path: Path, kind: str
    ) -> None:
        """Poisoned requests write to every block beside and before others, whose greedy answers stay what they were."""
        await bench.greedy(15)
        before = await bench.greedy(15)

        async with _spoilt(bench, shipped_base, tmp_path, kind) as key:
            bystanders = asyncio.create_task(bench.greedy(15))
            outcomes = await asyncio.gather(*(_is_ended(bench, key, number) for number in range(_POISONED)))

            assert await bystanders == before
        assert all(outcomes)
        assert await bench.greedy(15) == before
        assert await bench.engine.poisoned_blocks() == 0

    async def test_of_one_request_ends_all_of_its_adapter(
        self, bench: Bench, shipped_base: BaseModel, tmp_path: Path
    ) -> None:
        """Finite weights that overflow for one token: answered without it, and nobody is once it was there."""
        sound = bench.renderer.prompt_ids("Invoice 1 from nobody")
        token = next(token for token in range(300, 2000) if token not in sound)
        key = write_overflowing_adapter(shipped_base, tmp_path / "overflowing", 42, token)
        await bench.engine.add_adapter(key)
        others = [replace(bench.call(4, extra=50, temperature=0.0, stream=True), adapter=key) for _ in range(3)]
        alone = await bench.tokens(replace(others[0], request_id="alone"))
        streams = [bench.engine.generate(call) for call in others]
        await asyncio.gather(*(anext(stream) for stream in streams))

        with pytest.raises(NonFinite):
            await bench.tokens(replace(others[0], request_id="overflow", prompt_ids=(*sound, token)))

        assert token not in alone
        for stream in streams:
            with pytest.raises(NonFinite):
                [chunk async for chunk in stream]
        with pytest.raises(NonFinite):
            await bench.tokens(replace(others[0], request_id="later"))
        assert await bench.engine.poisoned_blocks() == 0
        await bench.engine.remove_adapter(key)

    async def test_is_noticed_before_a_token_of_it_is_streamed(
        self, bench: Bench, shipped_base: BaseModel, tmp_path: Path
    ) -> None:
        """The first that a stream hears is the error."""
        async with _spoilt(bench, shipped_base, tmp_path, "NaN behind the last attention") as key:
            stream = bench.engine.generate(replace(bench.call(3, extra=40, temperature=0.0, stream=True), adapter=key))

            with pytest.raises(NonFinite):
                await anext(stream)

    async def test_of_requests_that_nobody_waits_for_is_scrubbed_too(
        self, bench: Bench, shipped_base: BaseModel, tmp_path: Path
    ) -> None:
        """Callers leave at once; the engine may be in the middle of the step that writes it."""
        await bench.greedy(15)
        before = await bench.greedy(15)

        async with _spoilt(bench, shipped_base, tmp_path, "NaN in all values") as key:
            for turn in range(10):
                asked = [asyncio.create_task(_is_ended(bench, key, 1000 + 10 * turn + n)) for n in range(10)]
                await asyncio.sleep(0.005 * turn)
                for task in asked:
                    task.cancel()
                await asyncio.gather(*asked, return_exceptions=True)

        assert await bench.greedy(15) == before
        assert await bench.engine.poisoned_blocks() == 0
