"""Log lines of the inference service, and what no log line, metric or span may hold."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from opentelemetry.trace import format_trace_id

from inference_svc.app.ports import EngineCall, EngineChunk
from shared.errors import DomainError
from tests.integration.telemetry.conftest import GENERATE, MAP, SECRET, STREAM, TEXT, House, named, request
from tests.unit.inference_svc.conftest import revision

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


class TestLog:
    """Lines that a request causes."""

    async def test_carry_its_ids(self, house: House) -> None:
        """The caller's request id, and the id of the trace that its spans have."""
        house.script(*['{"a":[{},{}]}'] * 3)
        with pytest.raises(DomainError):
            await house.send(request(contract=MAP), x_request_id="order-17")

        server = named(await house.spans(), GENERATE)
        (line,) = house.lines
        assert line["message"] == "format check failed"
        assert line["request_id"] == "order-17"
        assert line["trace_id"] == format_trace_id(server.context.trace_id)
        assert (server.attributes or {})["goldsmith.request_id"] == "order-17"

    @pytest.mark.parametrize("given", ["", "with space", "x" * 65, f'"{SECRET}"', "a/b"])
    async def test_carry_an_id_of_ours_in_place_of_a_malformed_one(self, house: House, given: str) -> None:
        """Nobody writes what it likes into the log."""
        house.script(*['{"a":[{},{}]}'] * 3)
        with pytest.raises(DomainError):
            await house.send(request(contract=MAP), x_request_id=given)

        (line,) = house.lines
        assert len(line["request_id"]) == 32
        assert line["request_id"].isalnum()

    async def test_of_a_load_carry_the_ids_of_the_request_that_caused_it(self, house: House) -> None:
        """So that a slow or refused first request can be explained."""
        house.replica.publish(1, prompt_digest="sha256:" + "f" * 64)
        with pytest.raises(DomainError):
            await house.send(request(adapter=str(revision(1)), contract=""), x_request_id="first")

        (line,) = (line for line in house.lines if line["message"] == "revision rejected")
        assert line["revision"] == str(revision(1))
        assert line["reason"] == "BASE_MODEL_MISMATCH"
        assert line["request_id"] == "first"


class TestContent:
    """What a tenant sends and gets."""

    async def test_shows_up_nowhere(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """In no log line, metric or span: of answers, streams, failed checks, broken guarantees, bugs and refusals."""
        engine, good = house.replica.engine, f"{SECRET} is the answer"
        house.script(good, good)
        answered = await house.ask(lambda client: client.generate("", SECRET, instructions=SECRET, contract=TEXT))
        streamed = await house.ask(lambda client: list(client.stream("", SECRET, contract=TEXT)))
        house.script(*[f'{{"{SECRET}":[{{"{SECRET}":1}},{{"{SECRET}":1}}]}}'] * 3)
        refused = await _failure(house.send(request(contract=MAP, input=SECRET)))
        engine.lie = house.replica.renderer.completion_ids(SECRET * 20)
        broken = await _failure(house.send(request(input=SECRET)))
        engine.lie = None
        unknown = await _failure(house.send(request(adapter=f"tenants/acme/adapters/{SECRET}", contract="")))
        malformed = await _failure(house.send(request(adapter=f"{SECRET}/{SECRET}", contract="")))
        differs = await _failure(house.send(request(), x_adapter=SECRET))

        async def explode(call: EngineCall) -> AsyncGenerator[EngineChunk]:
            raise ValueError(house.replica.renderer.decode([*call.prompt_ids[1:-1], 1]))
            yield EngineChunk((), 0, finished=True)

        monkeypatch.setattr(engine, "generate", explode)
        bug = await _failure(house.send(request(input=SECRET)))

        assert answered.text == good
        assert streamed
        assert [refused, broken, unknown, malformed, differs, bug] == [
            "FORMAT_CHECK_FAILED", "GUARANTEE_BROKEN", "ADAPTER_NOT_FOUND", "FIELD_INVALID", "FIELD_INVALID", "INTERNAL"
        ]  # fmt: skip
        told = await self._everything(house)
        assert {line["message"] for line in house.lines} >= {
            "format check failed",
            "internal fault",
            "unexpected error",
        }
        assert SECRET not in told

    @staticmethod
    async def _everything(house: House) -> str:
        def scrape() -> str:
            with urllib.request.urlopen(f"http://{house.metrics_address}/metrics", timeout=10) as response:
                text: str = response.read().decode()
                return text

        spans = "".join(span.to_json() for span in await house.spans(STREAM))
        metrics = await asyncio.to_thread(scrape)
        assert "goldsmith_requests_total" in metrics
        assert GENERATE in spans
        return house.log.getvalue() + metrics + spans

    async def test_in_a_path_is_masked_where_the_contract_does_not_spell_it(self, house: House) -> None:
        """Property names of an open map are generated."""
        house.script(*[f'{{"{SECRET}":[{{}},{{}}]}}'] * 3)
        await _failure(house.send(request(contract=MAP)))

        (line,) = house.lines
        assert line["path"] == "output#/*"


async def _failure(sending: Any) -> str:  # a coroutine
    with pytest.raises(DomainError) as caught:
        await sending
    return caught.value.reason
