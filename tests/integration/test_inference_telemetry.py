"""Traces, log lines and metrics of the inference service, over a real socket with an engine in memory."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, format_span_id, format_trace_id

from goldsmith.inference.v1 import inference_service_pb2, inference_service_pb2_grpc
from inference_svc.app.meter import Meter
from inference_svc.app.ports import EngineCall, EngineChunk
from inference_svc.service import InferenceServicer
from inference_svc.telemetry.metric import PrometheusObserver
from inference_svc.telemetry.span import TraceObserver
from shared.base_model import BaseModel
from shared.client import InferenceClient
from shared.client.channel import call, open_channel
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import DomainError, NotFound
from shared.logs import JsonFormatter
from shared.rpc.interceptor import ErrorInterceptor
from shared.rpc.metric import MetricInterceptor
from shared.rpc.trace import TraceInterceptor
from shared.telemetry.endpoint import MetricEndpoint
from shared.telemetry.telemetry import Telemetry
from shared.telemetry.trace import remote_parent
from tests.unit.inference_svc.conftest import ALIAS, CONTRACT, Replica, revision

GENERATE = "goldsmith.inference.v1.InferenceService/Generate"
STREAM = "goldsmith.inference.v1.InferenceService/GenerateStream"
ADAPTER = "tenants/acme/adapters/answer"
SECRET = "kumquat"
TEXT, MAP = "tenants/acme/contracts/text", "tenants/acme/contracts/map"
SPECS = {
    TEXT: ContractSpec(ContractKind.TEXT, max_chars=40),
    MAP: ContractSpec(
        ContractKind.JSON,
        json_schema=json.dumps(
            {
                "type": "object",
                "additionalProperties": {"type": "array", "items": {"type": "object"}, "uniqueItems": True},
            }
        ),
    ),
}
Found = TypeVar("Found")
pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


@dataclass
class House:
    """A served replica, what it tells, and how to call it."""

    replica: Replica
    address: str
    metrics_address: str
    exported: InMemorySpanExporter
    log: io.StringIO

    async def ask(self, work: Callable[[InferenceClient], Found]) -> Found:
        """Runs what a client does in a thread of its own, as the client is a blocking one."""

        def run() -> Found:
            with InferenceClient(self.address) as client:
                return work(client)

        return await asyncio.to_thread(run)

    async def send(self, request: inference_service_pb2.GenerateRequest, **metadata: str) -> None:
        """Sends a request with metadata of the caller's choice; raises what the client would."""

        def run() -> None:
            with open_channel(self.address) as channel:
                stub = inference_service_pb2_grpc.InferenceServiceStub(channel)
                named = {key.replace("_", "-"): value for key, value in metadata.items()}
                call(stub.Generate, request, 20.0, **named)

        await asyncio.to_thread(run)

    async def spans(self, last: str = GENERATE) -> list[ReadableSpan]:
        """Every span so far; waits for one of that name, which ends after the answer was sent."""
        while not any(span.name == last for span in self.exported.get_finished_spans()):  # noqa: ASYNC110  # no event
            await asyncio.sleep(0.01)
        return list(self.exported.get_finished_spans())

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def script(self, *texts: str) -> None:
        """What the engine answers next."""
        self.replica.engine.script = [self.replica.renderer.completion_ids(text) for text in texts]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that any logger writes, as the service formats it."""
    written, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(written), root.level
    handler.setFormatter(JsonFormatter())
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


@pytest_asyncio.fixture
async def house(tiny_base: BaseModel, tmp_path, log: io.StringIO) -> AsyncIterator[House]:
    """A replica that is measured and traced as the composition root has it."""
    exported = InMemorySpanExporter()
    telemetry = Telemetry.of("inference", spans=SimpleSpanProcessor(exported))
    meter = Meter([PrometheusObserver(telemetry.registry, label_sets=100), TraceObserver(telemetry.tracer)])
    replica = Replica(tiny_base, tmp_path, meter=meter)
    replica.registry.specs |= SPECS
    interceptors = (MetricInterceptor(telemetry.registry), TraceInterceptor(telemetry.tracer), ErrorInterceptor())
    server = grpc.aio.server(interceptors=interceptors)
    servicer = InferenceServicer(replica.answering, replica.fleet)
    inference_service_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server)
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    with MetricEndpoint("127.0.0.1:0", telemetry.registry) as endpoint:
        yield House(replica, f"127.0.0.1:{port}", endpoint.address, exported, log)
        await server.stop(0)
        await replica.fleet.stop()
    telemetry.close()


def request(**prompt: str) -> inference_service_pb2.GenerateRequest:
    """A request under the text contract."""
    fields = {"contract": TEXT, "input": "is it so?"} | prompt
    return inference_service_pb2.GenerateRequest(prompt=inference_service_pb2.Prompt(**fields))


def named(spans: Sequence[ReadableSpan], name: str) -> ReadableSpan:
    """The only span of that name."""
    (found,) = (span for span in spans if span.name == name)
    return found


def children(spans: Sequence[ReadableSpan], parent: ReadableSpan) -> dict[str, ReadableSpan]:
    """Spans directly under one, by name, in the order of their begin."""
    under = [span for span in spans if span.parent is not None and span.parent.span_id == parent.context.span_id]
    return {span.name: span for span in sorted(under, key=lambda span: span.start_time or 0)}


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
