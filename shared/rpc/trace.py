"""Gives every RPC its ids: a request id in each line of the log, and a span that continues the caller's trace."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection
from opentelemetry.context import attach
from opentelemetry.trace import SpanKind, StatusCode, Tracer, format_trace_id, set_span_in_context

from shared.logs import bind
from shared.rpc.final_code import final_code
from shared.rpc.handler import Context, Handler, around
from shared.telemetry.trace import remote_parent

REQUEST_ID_KEY = "x-request-id"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UNTRACED = (health.SERVICE_NAME, reflection.SERVICE_NAME)
"""Asked every few seconds by machines."""
_SERVER_FAULTS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""Codes that make a server span an error (https://opentelemetry.io/docs/specs/semconv/rpc/grpc/)."""


class TraceInterceptor(grpc.aio.ServerInterceptor):
    """Stands outside of everything that logs.

    The request id is the caller's `x-request-id` when that is 1 to 64 letters, digits, dots, dashes and underscores,
    otherwise a new one: a caller cannot write what it likes into the log.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wraps handlers of every kind, except health and reflection."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method.removeprefix("/")
        if handler is None or method.partition("/")[0] in _UNTRACED:
            return handler
        metadata = {
            key: value for key, value in handler_call_details.invocation_metadata or () if isinstance(value, str)
        }
        return around(handler, lambda context: self._traced(method, metadata, context))

    @asynccontextmanager
    async def _traced(self, method: str, metadata: Mapping[str, str], context: Context) -> AsyncIterator[None]:
        service, _, name = method.partition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
        span = self._tracer.start_span(
            method, context=remote_parent(metadata), kind=SpanKind.SERVER, attributes=attributes
        )
        ids = {"request_id": _request_id(metadata)}
        if span.get_span_context().is_valid:
            ids["trace_id"] = format_trace_id(span.get_span_context().trace_id)
        span.set_attribute("goldsmith.request_id", ids["request_id"])
        # Set and never reset: each call is a task with context variables of its own, and a stream that its caller
        # dropped may be closed by another task, where resetting is an error.
        attach(set_span_in_context(span))
        bind(ids)
        error: BaseException | None = None
        try:
            yield
        except BaseException as err:
            error = err
            raise
        finally:
            code = final_code(context, error)
            span.set_attribute("rpc.grpc.status_code", code.value[0])
            if code in _SERVER_FAULTS:
                span.set_status(StatusCode.ERROR, code.name)
            span.end()


def _request_id(metadata: Mapping[str, str]) -> str:
    given = metadata.get(REQUEST_ID_KEY, "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
