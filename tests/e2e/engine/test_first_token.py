"""The first token of an answer that is handed over whole, in a real vLLM engine."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from inference_svc.app.ports import EngineCall
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

_LONG = {"type": "array", "items": {"type": "integer"}, "minItems": 200, "maxItems": 200}
_STREAMED_TOKENS = 8
"""In each chunk of a stream but the first."""


class TestUnary:
    """Requests that do not stream."""

    async def test_have_their_first_token_when_a_stream_has_it(self, bench: Bench, shipped_base: BaseModel) -> None:
        """The same request, streamed beside, is the clock: both have a token in each step of the engine."""
        stream = _long(bench, shipped_base)
        unary = replace(stream, request_id=f"{stream.request_id}-unary", stream=False)
        ticks: list[int] = []

        async def read() -> None:
            async for chunk in bench.engine.generate(stream):
                ticks.extend(chunk.token_ids)

        # The unary one is asked first, so that a machine that is held up between the two has it early, never late.
        chunks = bench.engine.generate(unary)
        first = asyncio.ensure_future(anext(chunks))
        reading = asyncio.create_task(read())
        begun, at_first = await first, len(ticks)
        rest = [(chunk, len(ticks)) async for chunk in chunks]
        await reading

        ((end, at_end),) = rest
        assert len(begun.token_ids) == 1
        assert at_first <= 1 + _STREAMED_TOKENS
        assert at_end > len(end.token_ids) / 2
        assert (begun.finished, end.finished) == (False, True)


def _long(bench: Bench, base: BaseModel) -> EngineCall:
    """A stream of 400 tokens at least: whatever holds the front end up passes before it ends."""
    compiler = ContractCompiler(bench.engine._settings.contract_dir, base.vocabulary())
    contract = compiler.compile(ContractSpec(ContractKind.JSON, json_schema=json.dumps(_LONG)))
    call = bench.call(0, extra=0, temperature=1.0, stream=True)
    return replace(call, contract_digest=contract.digest, max_tokens=contract.min_tokens + 100, adapter=None)
