"""A replica that is measured and traced as the composition root has it, over a real socket."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health, health_pb2_grpc
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from goldsmith.inference.v1 import inference_service_pb2, inference_service_pb2_grpc
from inference_svc.app.meter import Meter
from inference_svc.service import InferenceServicer
from inference_svc.telemetry.metric import PrometheusObserver
from inference_svc.telemetry.span import TraceObserver
from shared.base_model import BaseModel
from shared.client import InferenceClient
from shared.client.channel import call, open_channel
from shared.contracts.spec import ContractKind, ContractSpec
from shared.logs import JsonFormatter
from shared.rpc.interceptor import ErrorInterceptor
from shared.rpc.metric import MetricInterceptor
from shared.rpc.trace import TraceInterceptor
from shared.telemetry.endpoint import MetricEndpoint
from shared.telemetry.telemetry import Telemetry
from tests.unit.inference_svc.conftest import Replica

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
