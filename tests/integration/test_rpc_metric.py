"""Metrics of RPCs, scraped over HTTP after calls over a real socket."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from shared.rpc.interceptor import ErrorInterceptor
from shared.rpc.metric import MetricInterceptor
from shared.telemetry.endpoint import MetricEndpoint
from tests.rpc_house import SERVICE, Ask, RpcHouse, served, stream, unary

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


def scrape(address: str) -> dict[tuple[str, ...], float]:
    """Values by sample name and label values, in the order of the label names."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as response:
        text = response.read().decode()
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class MeasuredHouse:
    """The house behind the interceptors of our servers, and its metrics."""

    def __init__(self, house: RpcHouse, channel: grpc.aio.Channel, endpoint: MetricEndpoint) -> None:
        self.house, self.channel, self._endpoint = house, channel, endpoint

    async def samples(self) -> dict[tuple[str, ...], float]:
        """What Prometheus would see now."""
        return await asyncio.to_thread(scrape, self._endpoint.address)

    async def handled(self) -> dict[tuple[str, str, str], float]:
        """Ended calls by code, method and type; waits until as many have ended as began."""
        while True:
            samples = await self.samples()
            ended = {key[1:]: value for key, value in samples.items() if key[0] == "grpc_server_handled_total"}
            if sum(ended.values()) == sum(v for k, v in samples.items() if k[0] == "grpc_server_started_total"):
                return {(code, method, kind): value for (code, method, _, kind), value in ended.items()}
            await asyncio.sleep(0.01)


@pytest_asyncio.fixture
async def measured() -> AsyncIterator[MeasuredHouse]:
    """A served house whose calls are measured."""
    registry, house = CollectorRegistry(), RpcHouse()
    with MetricEndpoint("127.0.0.1:0", registry) as endpoint:
        async with served(house, MetricInterceptor(registry), ErrorInterceptor()) as channel:
            yield MeasuredHouse(house, channel, endpoint)


class TestHandledTotal:
    """`grpc_server_handled_total` counts each call under the code that its caller saw."""

    @pytest.mark.parametrize(
        ("ask", "method", "kind"),
        [
            (unary("Answer"), "Answer", "unary"),
            (unary("Refuse"), "Refuse", "unary"),
            (unary("Abort"), "Abort", "unary"),
            (unary("Fault"), "Fault", "unary"),
            (unary("Broken"), "Broken", "unary"),
            (unary("Wait", timeout=0.3), "Wait", "unary"),
            (stream("Stream"), "Stream", "server_stream"),
            (stream("StreamRefuse"), "StreamRefuse", "server_stream"),
            (stream("StreamWait", timeout=0.3), "StreamWait", "server_stream"),
            (stream("Write"), "Write", "server_stream"),
            (stream("WriteRefuse"), "WriteRefuse", "server_stream"),
        ],
    )
    async def test_has_the_code_that_the_caller_saw(
        self, measured: MeasuredHouse, ask: Ask, method: str, kind: str
    ) -> None:
        """Whether a handler returned, raised, aborted, or ran out of time."""
        try:
            await ask(measured.channel)
            code = grpc.StatusCode.OK
        except grpc.aio.AioRpcError as err:
            code = err.code()

        assert await measured.handled() == {(code.name, method, kind): 1.0}

    async def test_counts_streams_of_requests_by_their_type(self, measured: MeasuredHouse) -> None:
        """Client and bidirectional streams pass the same way."""
        joined = await measured.channel.stream_unary(f"/{SERVICE}/Collect")(iter([b"a", b"b"]))
        echoed = [each async for each in measured.channel.stream_stream(f"/{SERVICE}/Echo")(iter([b"a", b"b"]))]

        assert (joined, echoed) == (b"ab", [b"a", b"b"])
        assert await measured.handled() == {
            ("OK", "Collect", "client_stream"): 1.0,
            ("OK", "Echo", "bidi_stream"): 1.0,
        }

    @pytest.mark.parametrize(("method", "kind"), [("Wait", "unary"), ("StreamWait", "server_stream")])
    async def test_is_cancelled_when_the_caller_leaves(self, measured: MeasuredHouse, method: str, kind: str) -> None:
        """Long before the deadline; the handler has ended by then."""
        make = measured.channel.unary_unary if kind == "unary" else measured.channel.unary_stream
        call = make(f"/{SERVICE}/{method}")(b"x", timeout=60)
        waiting = asyncio.ensure_future(call.read() if kind == "server_stream" else call.code())
        await measured.house.entered.wait()

        call.cancel()
        waiting.cancel()
        await measured.house.left.wait()

        assert await measured.handled() == {("CANCELLED", method, kind): 1.0}

    async def test_is_cancelled_when_a_reader_that_stalled_leaves(self, measured: MeasuredHouse) -> None:
        """The stream is blocked in a write then, not in the handler."""
        call = measured.channel.unary_stream(f"/{SERVICE}/StreamFlood")(b"x", timeout=60)
        await measured.house.entered.wait()
        await asyncio.sleep(0.2)  # until the transport is full

        call.cancel()
        await measured.house.left.wait()

        assert await measured.handled() == {("CANCELLED", "StreamFlood", "server_stream"): 1.0}

    async def test_names_no_method_that_does_not_exist(self, measured: MeasuredHouse) -> None:
        """A caller that makes names up makes one series, not one for each."""
        for name in ("Nope", "Nada", "Niente"):
            with pytest.raises(grpc.aio.AioRpcError):
                await unary(name)(measured.channel)

        assert await measured.handled() == {("UNIMPLEMENTED", "unknown", "unary"): 3.0}


class TestHandlingSeconds:
    """`grpc_server_handling_seconds` times each call."""

    async def test_observes_each_call_once_in_cumulative_buckets(self, measured: MeasuredHouse) -> None:
        """By method and type only: no code, and never a tenant."""
        for _ in range(3):
            await unary("Answer")(measured.channel)
        await measured.handled()

        samples = await measured.samples()
        buckets = [v for k, v in samples.items() if k[0] == "grpc_server_handling_seconds_bucket"]
        assert samples["grpc_server_handling_seconds_count", "Answer", SERVICE, "unary"] == 3.0
        assert buckets == sorted(buckets)
        assert buckets[-1] == 3.0


class TestHealthWatch:
    """grpcio's health service writes its stream from a coroutine, not from a generator."""

    async def test_passes_through_the_interceptors(self, measured: MeasuredHouse) -> None:
        """A client that balances by health gets its first answer, and is counted when it leaves."""
        call = health_pb2_grpc.HealthStub(measured.channel).Watch(health_pb2.HealthCheckRequest())

        first = await call.read()
        call.cancel()

        assert first == health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)
        assert await measured.handled() == {("CANCELLED", "Watch", "server_stream"): 1.0}
