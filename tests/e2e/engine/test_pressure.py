"""Requests that nobody waits for any more, or not now, in a real vLLM engine."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from shared.base_model import BaseModel
from shared.contracts.compiler import ContractCompiler
from shared.contracts.spec import ContractKind, ContractSpec
from tests.e2e.engine.bench import Bench

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own imports warn
]

_RUNNING = 32
"""Requests that the engine decodes at a time."""
_LONG = {"type": "array", "items": {"type": "integer"}, "minItems": 200, "maxItems": 200}
_CHOICE = 2


class TestAbandoned:
    """Requests whose callers went away."""

    async def test_leave_their_places_in_the_batch_at_once(self, bench: Bench, shipped_base: BaseModel) -> None:
        """All places run a long request; when all but one are abandoned, as many short ones run beside the last.

        All decode in step, so as long as the last has less than the least that a long answer takes, none of the others
        can have ended by itself.
        """
        compiler = ContractCompiler(bench.engine._settings.contract_dir, shipped_base.vocabulary())
        contract = compiler.compile(ContractSpec(ContractKind.JSON, json_schema=json.dumps(_LONG)))
        streams = []
        for _ in range(_RUNNING):
            call = bench.call(0, extra=0, temperature=1.0, stream=True)
            streams.append(
                bench.engine.generate(
                    replace(call, contract_digest=contract.digest, max_tokens=contract.min_tokens + 100, adapter=None)
                )
            )
        await asyncio.gather(*(anext(stream) for stream in streams))
        *abandoned, last = streams
        tokens: list[int] = []

        async def read_last() -> None:
            async for chunk in last:
                tokens.extend(chunk.token_ids)

        for stream in abandoned:
            await stream.aclose()
        reading = asyncio.create_task(read_last())
        await asyncio.gather(
            *(bench.tokens(bench.call(_CHOICE, extra=0, temperature=1.0)) for _ in range(_RUNNING - 1))
        )

        assert len(tokens) < contract.min_tokens / 2
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await last.aclose()


class TestSlowReaders:
    """Requests whose callers do not read on."""

    async def test_hold_no_place_in_the_batch(self, bench: Bench) -> None:
        """As many others are answered meanwhile; whoever reads on later finds the whole answer."""
        calls = [bench.call(index, extra=40, temperature=1.0, stream=True) for index in range(_RUNNING)]
        streams = [bench.engine.generate(call) for call in calls]
        begun = await asyncio.gather(*(anext(stream) for stream in streams))
        others = [bench.call(_CHOICE, extra=0, temperature=1.0) for _ in range(_RUNNING)]
        answers = await asyncio.wait_for(asyncio.gather(*(bench.tokens(call) for call in others)), 120)

        for call, tokens in zip(others, answers, strict=True):
            bench.assert_kept(_CHOICE, call, tokens)
        for index, (call, first, stream) in enumerate(zip(calls, begun, streams, strict=True)):
            rest = [token async for chunk in stream for token in chunk.token_ids]
            bench.assert_kept(index, call, [*first.token_ids, *rest])
