"""Starts a service, tells when it is ready, and drains it on SIGTERM: the same for both services."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from shared.errors import DomainError
from shared.names import invalid_field
from shared.rpc.interceptor import ErrorInterceptor
from shared.rpc.metric import MetricInterceptor
from shared.rpc.security import Security
from shared.rpc.service_names import service_names
from shared.rpc.trace import TraceInterceptor
from shared.telemetry.endpoint import MetricEndpoint
from shared.telemetry.telemetry import Telemetry

_log = logging.getLogger(__name__)

EXIT_DRAINED, EXIT_CRASH, EXIT_CONFIGURATION, EXIT_NOT_USABLE = 0, 1, 2, 3

MAX_MESSAGE_BYTES = 4 << 20
"""Twice the largest documented message: a 1 MiB chunk plus its names."""

# grpcio's defaults kill bursts above 1,000 calls with CANCELLED, bind two servers to one port, and answer a client's
# keepalive during a long unary call with GOAWAY (all measured); each key here undoes one of these.
SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.server.max_pending_requests", 20_000),
    ("grpc.server.max_pending_requests_hard_limit", 40_000),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.max_connection_age_ms", 1_800_000),
    ("grpc.max_connection_age_grace_ms", 600_000),
)


class Application(Protocol):
    """What a service's composition root returns."""

    @property
    def telemetry(self) -> Telemetry:
        """Where the server measures and traces its RPCs; closed by the server."""

    def register(self, server: grpc.aio.Server) -> None:
        """Adds its servicers to the server, before it starts; called again to learn their names."""

    async def start(self) -> Mapping[str, object]:
        """Brings engine and background work up; returns facts for the ready line once requests can be served."""

    async def drain(self) -> None:
        """Refuses new work and ends watches; requests that run go on."""

    async def stop(self) -> None:
        """Frees everything, after the last request."""

    def readiness(self) -> AsyncIterator[bool]:
        """Whether it serves: what holds after `start`, then each change; ends where there will be none."""

    async def failed(self) -> None:
        """Returns when the process can no longer serve and must be restarted; called after `start`."""


@dataclass(frozen=True)
class ServerSettings:
    """Where and how to serve."""

    listen: str
    security: Security
    drain_seconds: float = 10.0
    metrics_listen: str = ""
    """HTTP for Prometheus, plaintext; empty: none."""
    health_listen: str = ""
    """gRPC health only, plaintext, for probes that can neither speak TLS nor name a tenant; empty: none."""


def run(settings: ServerSettings, build: Callable[[], Awaitable[Application]]) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit status of the process.

    Prints one JSON line on standard output when ready: `ready`, `address`, `metrics_address` and `health_address` where
    these ports are on, and the application's own facts.
    """
    try:
        return asyncio.run(_serve(settings, build))
    except DomainError as err:
        _log.error("cannot start", extra={"reason": err.reason, "detail": str(err)})  # no trace: the message says it
        return EXIT_NOT_USABLE


async def _serve(settings: ServerSettings, build: Callable[[], Awaitable[Application]]) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    application = await build()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, application.telemetry.close)
        health_servicer = health.aio.HealthServicer()
        await _set_health(health_servicer, application, health_pb2.HealthCheckResponse.NOT_SERVING)
        addresses = await _open_probe_ports(settings, application, health_servicer, stack)
        server = _server(settings.security, application, health_servicer)
        addresses["address"] = _bind(settings.listen, "listen", partial(settings.security.bind, server))
        await server.start()
        stack.push_async_callback(application.stop)
        stack.push_async_callback(server.stop, settings.drain_seconds)
        return await _until_stopped(application, health_servicer, stopping, addresses)


def _server(
    security: Security, application: Application, health_servicer: health.aio.HealthServicer
) -> grpc.aio.Server:
    telemetry = application.telemetry
    # From the outside in: whatever refuses a call is counted and has its ids in the log.
    interceptors = [
        MetricInterceptor(telemetry.registry),
        TraceInterceptor(telemetry.tracer),
        ErrorInterceptor(),
        *security.interceptors(),
    ]
    server = grpc.aio.server(interceptors=interceptors, options=SERVER_OPTIONS)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    names = [*service_names(application.register), health.SERVICE_NAME, reflection.SERVICE_NAME]
    reflection.enable_server_reflection(names, server)
    application.register(server)
    return server


def _bind(listen: str, setting: str, bind: Callable[[str], int]) -> str:
    """Listens by `bind`; returns the address with the real port."""
    try:
        port = bind(listen)
    except RuntimeError as err:  # all that gRPC says, whatever the reason
        raise invalid_field(setting, f"cannot listen on {listen}") from err
    return f"{listen.rpartition(':')[0]}:{port}"


async def _open_probe_ports(
    settings: ServerSettings,
    application: Application,
    health_servicer: health.aio.HealthServicer,
    stack: AsyncExitStack,
) -> dict[str, str]:
    """Opens the ports that machines ask, before there is anything to serve; closed last, after the drain."""
    addresses: dict[str, str] = {}
    if settings.metrics_listen:
        endpoint = MetricEndpoint(settings.metrics_listen, application.telemetry.registry)
        stack.push_async_callback(asyncio.to_thread, endpoint.close)
        addresses["metrics_address"] = endpoint.address
    if settings.health_listen:
        # A server of its own: a gRPC server offers all its services on all its ports.
        probe = grpc.aio.server(options=SERVER_OPTIONS)
        health_pb2_grpc.add_HealthServicer_to_server(health_servicer, probe)
        addresses["health_address"] = _bind(settings.health_listen, "health_listen", probe.add_insecure_port)
        await probe.start()
        stack.push_async_callback(probe.stop, None)
    return addresses


async def _until_stopped(
    application: Application,
    health_servicer: health.aio.HealthServicer,
    stopping: asyncio.Event,
    addresses: Mapping[str, str],
) -> int:
    stop = asyncio.create_task(stopping.wait())
    start = asyncio.create_task(_start(application))
    failure: asyncio.Task[None] | None = None
    health_task: asyncio.Task[None] | None = None
    try:
        await asyncio.wait({stop, start}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.done():
            facts = start.result()
            failure = asyncio.create_task(application.failed())
            await _set_health(health_servicer, application, health_pb2.HealthCheckResponse.SERVING)
            health_task = asyncio.create_task(_follow_readiness(health_servicer, application))
            sys.stdout.write(json.dumps({"ready": True, **addresses, **facts}) + "\n")
            sys.stdout.flush()
            await asyncio.wait({stop, failure}, return_when=asyncio.FIRST_COMPLETED)
        if health_task is not None:
            health_task.cancel()
        await health_servicer.enter_graceful_shutdown()
        await application.drain()
        return EXIT_CRASH if failure is not None and failure.done() else EXIT_DRAINED
    finally:
        for task in filter(None, (stop, start, failure, health_task)):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, DomainError):
                await task


async def _start(application: Application) -> Mapping[str, object]:
    return await application.start()


async def _follow_readiness(servicer: health.aio.HealthServicer, application: Application) -> None:
    async for serves in application.readiness():
        name = "SERVING" if serves else "NOT_SERVING"
        await _set_health(servicer, application, health_pb2.HealthCheckResponse.ServingStatus.Value(name))


async def _set_health(servicer: health.aio.HealthServicer, application: Application, status: int) -> None:
    for name in ("", *service_names(application.register)):
        await servicer.set(name, status)
