"""Traces of the inference service."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import StatusCode, format_span_id, format_trace_id

from shared.client import InferenceClient
from shared.client.channel import call, open_channel
from shared.errors import DomainError, NotFound
from shared.telemetry.telemetry import Telemetry
from shared.telemetry.trace import remote_parent
from tests.integration.telemetry.conftest import (
    ADAPTER,
    GENERATE,
    MAP,
    SECRET,
    STREAM,
    TEXT,
    House,
    children,
    named,
    request,
)
from tests.unit.inference_svc.conftest import ALIAS, CONTRACT, revision

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


class TestTrace:
    """Spans of one request."""

    async def test_continues_that_of_the_client(self, house: House) -> None:
        """The client sends `traceparent` when a span is active in the calling thread."""
        caller = TracerProvider(shutdown_on_exit=False).get_tracer("caller")

        def ask(client: InferenceClient) -> tuple[int, int]:
            with caller.start_as_current_span("caller") as span:
                client.generate("", "is it so?", contract=TEXT)
                return span.get_span_context().trace_id, span.get_span_context().span_id

        trace_id, span_id = await house.ask(ask)

        spans = await house.spans()
        server = named(spans, GENERATE)
        assert server.parent is not None
        assert (server.parent.trace_id, server.parent.span_id) == (trace_id, span_id)
        assert {span.context.trace_id for span in spans} == {trace_id}

    async def test_shows_what_the_request_waited_for(self, house: House) -> None:
        """In order, one after the other, within the span of the RPC."""
        await house.ask(lambda client: client.generate("", "is it so?", contract=TEXT))

        spans = await house.spans()
        server = named(spans, GENERATE)
        stages = children(spans, server)
        assert list(stages) == ["adapter", "queue", "engine", "check"]
        times = [time for span in stages.values() for time in (span.start_time or 0, span.end_time or 0)]
        assert times == sorted(times)
        assert (server.start_time or 0) <= times[0] + 1_000_000  # two clocks are read, one after the other
        assert times[-1] <= (server.end_time or 0) + 1_000_000

    async def test_parts_prefill_from_decode(self, house: House) -> None:
        """At the first token."""
        await house.ask(lambda client: list(client.stream("", "is it so?", contract=TEXT, max_output_tokens=9)))

        spans = await house.spans(STREAM)
        engine = named(spans, "engine")
        parts = children(spans, engine)
        assert list(parts) == ["prefill", "decode"]
        assert parts["prefill"].start_time == engine.start_time
        assert parts["prefill"].end_time == parts["decode"].start_time
        assert parts["decode"].end_time == engine.end_time

    async def test_shows_each_attempt(self, house: House) -> None:
        """With its number and tokens."""
        house.script('{"a":[{},{}]}', '{"a":[]}')
        await house.ask(lambda client: client.generate("", "is it so?", contract=MAP))

        engines = [span for span in await house.spans() if span.name == "engine"]
        assert [(span.attributes or {})["goldsmith.attempt"] for span in engines] == [1, 2]
        assert all((span.attributes or {})["goldsmith.output_tokens"] for span in engines)

    async def test_names_who_answered_and_counts(self, house: House) -> None:
        """Tenant, adapter, revision, contract, outcome and tokens."""
        house.replica.fleet.point(ALIAS, house.replica.publish(1))
        await house.replica.settle()
        answer = await house.ask(lambda client: client.generate(ADAPTER, "is it so?"))

        attributes = named(await house.spans(), GENERATE).attributes or {}
        usage = answer.summary.usage
        assert {key: value for key, value in attributes.items() if key.startswith("goldsmith.")} == {
            "goldsmith.request_id": attributes["goldsmith.request_id"],
            "goldsmith.tenant": "acme",
            "goldsmith.adapter": "answer",
            "goldsmith.revision": str(revision(1)),
            "goldsmith.contract": CONTRACT,
            "goldsmith.outcome": "OK",
            "goldsmith.attempt_count": 1,
            "goldsmith.prompt_tokens": usage.prompt_tokens,
            "goldsmith.cached_prompt_tokens": usage.cached_prompt_tokens,
            "goldsmith.output_tokens": usage.output_tokens,
        }
        assert attributes["rpc.method"] == "Generate"
        assert attributes["rpc.grpc.status_code"] == 0

    async def test_holds_the_load_that_the_request_caused(self, house: House) -> None:
        """With its stages; the load of a promotion is a trace of its own."""
        house.replica.publish(1)
        house.replica.fleet.point(ALIAS, house.replica.publish(2))
        await house.replica.settle()
        await house.ask(lambda client: client.generate(str(revision(1)), "is it so?"))

        spans = await house.spans()
        promoted, asked = (span for span in spans if span.name == "load adapter")
        assert (promoted.attributes or {})["goldsmith.revision"] == str(revision(2))
        assert promoted.parent is None
        assert list(children(spans, asked)) == ["fetch", "verify", "load", "prove"]
        assert asked in children(spans, named(spans, GENERATE)).values()

    async def test_of_a_rejected_load_is_an_error(self, house: House) -> None:
        """It ends at the stage that refused."""
        house.replica.fleet.point(ALIAS, house.replica.publish(1, prompt_digest="sha256:" + "f" * 64))
        await house.replica.settle()

        spans = await house.spans("load adapter")
        load = named(spans, "load adapter")
        assert list(children(spans, load)) == ["fetch", "verify"]
        assert load.status.status_code is StatusCode.ERROR

    @pytest.mark.parametrize("header", ["", "00-0-0-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", SECRET])
    async def test_begins_anew_under_a_malformed_header(self, house: House, header: str) -> None:
        """The request is answered; the header is forgotten."""
        await house.send(request(), traceparent=header)

        server = named(await house.spans(), GENERATE)
        assert server.parent is None
        assert server.context.is_valid

    async def test_that_the_caller_does_not_sample_is_not_recorded(self, house: House) -> None:
        """Neither the RPC nor what is under it."""
        await house.send(request(), traceparent=f"00-{'a' * 32}-{'b' * 16}-00")
        await house.send(request())

        assert len([span for span in await house.spans() if span.name == GENERATE]) == 1
        assert "a" * 32 not in {format_trace_id(span.context.trace_id) for span in await house.spans()}

    @pytest.mark.parametrize(("adapter", "outcome"), [("tenants/acme/adapters/none", "ADAPTER_NOT_FOUND"), ("", "OK")])
    async def test_of_a_caller_s_mistake_is_no_error_of_ours(self, house: House, adapter: str, outcome: str) -> None:
        """A server's span is an error when the server is at fault."""
        with suppress(NotFound):
            await house.send(request(adapter=adapter, contract="" if adapter else TEXT))

        server = named(await house.spans(), GENERATE)
        assert server.status.status_code is StatusCode.UNSET
        assert (server.attributes or {})["goldsmith.outcome"] == outcome

    async def test_of_a_broken_guarantee_is_one(self, house: House) -> None:
        """It says the code, and no more."""
        house.replica.engine.lie = house.replica.renderer.completion_ids("x" * 50)
        with pytest.raises(DomainError):
            await house.send(request())

        server = named(await house.spans(), GENERATE)
        assert (server.status.status_code, server.status.description) == (StatusCode.ERROR, "INTERNAL")
        assert not server.events

    async def test_of_health_checks_is_not_kept(self, house: House) -> None:
        """They are asked every few seconds, for ever."""

        def check() -> None:
            with open_channel(house.address) as channel:
                call(health_pb2_grpc.HealthStub(channel).Check, health_pb2.HealthCheckRequest(), 10.0)

        await asyncio.to_thread(check)
        await house.send(request())

        assert all("Health" not in span.name for span in await house.spans())


class TestUntraced:
    """A replica without a collector."""

    async def test_still_passes_the_caller_s_trace_on(self) -> None:
        """No span is recorded; the ids stay those of the caller."""
        telemetry = Telemetry.of("inference")
        header = f"00-{'a' * 32}-{'b' * 16}-01"
        span = telemetry.tracer.start_span("any", context=remote_parent({"traceparent": header}))

        assert not span.is_recording()
        assert format_trace_id(span.get_span_context().trace_id) == "a" * 32
        assert format_span_id(span.get_span_context().span_id) == "b" * 16
