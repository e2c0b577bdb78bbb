"""Counts and times every RPC, under the names of go-grpc-prometheus, so that its dashboards and alerts fit.

https://github.com/grpc-ecosystem/go-grpc-middleware/tree/main/providers/prometheus. Codes are spelled as in the gRPC
specification (CANCELLED, not Go's Canceled). A method that no service has counts as `unknown`, whatever it was called:
callers must not be able to make time series.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
from prometheus_client import CollectorRegistry, Counter, Histogram

from shared.rpc.final_code import final_code
from shared.rpc.handler import Context, Handler, around
from shared.telemetry.bucket import SECONDS

_METHOD = ("grpc_service", "grpc_method", "grpc_type")
_UNKNOWN = ("unknown", "unknown", "unary")
_TYPES = {
    (False, False): "unary",
    (True, False): "client_stream",
    (False, True): "server_stream",
    (True, True): "bidi_stream",
}
"""By whether requests, and responses, are a stream."""


class MetricInterceptor(grpc.aio.ServerInterceptor):
    """The outermost interceptor: it sees the code that the others decide on."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._started = Counter(
            "grpc_server_started_total", "RPCs that arrived at the server.", _METHOD, registry=registry
        )
        self._handled = Counter(
            "grpc_server_handled_total",
            "RPCs that ended on the server, whatever their code.",
            (*_METHOD, "grpc_code"),
            registry=registry,
        )
        self._seconds = Histogram(
            "grpc_server_handling_seconds",
            "Time from the arrival of an RPC to its end on the server.",
            _METHOD,
            buckets=SECONDS,
            registry=registry,
        )

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wraps handlers of every kind; counts a method that does not exist as UNIMPLEMENTED."""
        handler = await continuation(handler_call_details)
        if handler is None:
            self._started.labels(*_UNKNOWN).inc()
            self._handled.labels(*_UNKNOWN, grpc.StatusCode.UNIMPLEMENTED.name).inc()
            return None
        service, _, method = handler_call_details.method.removeprefix("/").partition("/")
        labels = (service, method, _TYPES[handler.request_streaming, handler.response_streaming])
        return around(handler, lambda context: self._measured(labels, context))

    @asynccontextmanager
    async def _measured(self, labels: tuple[str, str, str], context: Context) -> AsyncIterator[None]:
        begin = time.monotonic()
        self._started.labels(*labels).inc()
        error: BaseException | None = None
        try:
            yield
        except BaseException as err:
            error = err
            raise
        finally:
            self._handled.labels(*labels, final_code(context, error).name).inc()
            self._seconds.labels(*labels).observe(time.monotonic() - begin)
