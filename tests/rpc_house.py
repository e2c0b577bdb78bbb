"""A gRPC service with a method of every kind and every end, for tests of interceptors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from shared.errors import Exhausted, InternalFault
from shared.rpc.handler import Context

SERVICE = "test.v1.House"
_log = logging.getLogger(__name__)


class RpcHouse:
    """Behaviours by method name. `entered` is set when a method that waits has begun, `left` when it ended."""

    def __init__(self) -> None:
        self.entered, self.left = asyncio.Event(), asyncio.Event()

    async def answer(self, request: bytes, context: Context) -> bytes:
        """The request."""
        _log.info("answering")
        return request

    async def refuse(self, request: bytes, context: Context) -> bytes:
        """A domain error."""
        raise Exhausted("QUEUE_FULL", "no room", retry_after_seconds=1.0)

    async def abort(self, request: bytes, context: Context) -> bytes:
        """A status of gRPC's own."""
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")
        raise AssertionError("abort raises")

    async def fault(self, request: bytes, context: Context) -> bytes:
        """An exception that quotes the request, under one that does so too."""
        try:
            int(request)
        except ValueError as err:
            raise KeyError(request.decode()) from err
        return request

    async def broken(self, request: bytes, context: Context) -> bytes:
        """A fault of ours that quotes the request."""
        raise InternalFault("GUARANTEE_BROKEN", f"the output is {request!r}")

    async def wait(self, request: bytes, context: Context) -> bytes:
        """For ever."""
        await self._wait()
        return request

    async def stream(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        """The request twice."""
        yield request
        yield request

    async def stream_refuse(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        """The request, then a domain error."""
        yield request
        raise Exhausted("QUEUE_FULL", "no room", retry_after_seconds=1.0)

    async def stream_wait(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        """The request, then nothing for ever."""
        yield request
        await self._wait()

    async def stream_flood(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        """Large messages without end: whoever does not read them blocks the writer."""
        self.entered.set()
        try:
            while True:
                yield bytes(1 << 20)
        finally:
            self.left.set()

    async def write(self, request: bytes, context: Context) -> None:
        """The request twice, in the coroutine style."""
        await context.write(request)
        await context.write(request)

    async def write_refuse(self, request: bytes, context: Context) -> None:
        """The request, then a domain error."""
        await context.write(request)
        raise Exhausted("QUEUE_FULL", "no room", retry_after_seconds=1.0)

    async def collect(self, requests: AsyncIterator[bytes], context: Context) -> bytes:
        """All requests joined."""
        return b"".join([request async for request in requests])

    async def echo(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        """Each request."""
        async for request in requests:
            yield request

    async def _wait(self) -> None:
        self.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()

    def handlers(self) -> grpc.GenericRpcHandler:
        """Every method, of its kind."""
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Answer": unary(self.answer),
                "Refuse": unary(self.refuse),
                "Abort": unary(self.abort),
                "Fault": unary(self.fault),
                "Broken": unary(self.broken),
                "Wait": unary(self.wait),
                "Stream": stream(self.stream),
                "StreamRefuse": stream(self.stream_refuse),
                "StreamWait": stream(self.stream_wait),
                "StreamFlood": stream(self.stream_flood),
                "Write": stream(self.write),
                "WriteRefuse": stream(self.write_refuse),
                "Collect": grpc.stream_unary_rpc_method_handler(self.collect),
                "Echo": grpc.stream_stream_rpc_method_handler(self.echo),
            },
        )


@asynccontextmanager
async def served(house: RpcHouse, *interceptors: grpc.aio.ServerInterceptor) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a server with the house and the health service, behind a real socket."""
    server = grpc.aio.server(interceptors=interceptors)
    server.add_generic_rpc_handlers((house.handlers(),))
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    await health_servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)


Metadata = tuple[tuple[str, str], ...]
Ask = Callable[[grpc.aio.Channel], Awaitable[object]]


def unary(method: str, request: bytes = b"x", timeout: float = 20.0, metadata: Metadata = ()) -> Ask:
    """One call of a method with one answer."""
    return lambda channel: channel.unary_unary(f"/{SERVICE}/{method}")(request, timeout=timeout, metadata=metadata)


def stream(method: str, request: bytes = b"x", timeout: float = 20.0, metadata: Metadata = ()) -> Ask:
    """Every answer of a method that streams them."""

    async def ask(channel: grpc.aio.Channel) -> list[bytes]:
        call = channel.unary_stream(f"/{SERVICE}/{method}")(request, timeout=timeout, metadata=metadata)
        return [response async for response in call]

    return ask
