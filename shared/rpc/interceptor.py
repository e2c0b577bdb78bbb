"""Turns whatever a handler raises into one precise status; nothing else in the services knows gRPC's error path."""

from __future__ import annotations

import asyncio
import inspect
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc
from grpc_status import rpc_status

from shared.errors import DomainError, InternalFault
from shared.rpc.status import to_status

_log = logging.getLogger(__name__)

Handler = Any  # a grpc.RpcMethodHandler, which grpc does not type


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Maps `DomainError` by `shared.rpc.status`; anything else becomes INTERNAL with an incident id for the log."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wraps unary and streaming handlers; the contracts have no client streaming."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler  # unknown method
        method = handler_call_details.method
        if handler.request_streaming:  # reflection, the only one: it may be refused
            return grpc.stream_stream_rpc_method_handler(
                _guard_stream(method, handler.stream_stream), handler.request_deserializer, handler.response_serializer
            )
        if handler.response_streaming:
            if not inspect.isasyncgenfunction(handler.unary_stream):
                return handler  # the health service's Watch, which writes to its context and raises nothing of ours
            return grpc.unary_stream_rpc_method_handler(
                _guard_stream(method, handler.unary_stream), handler.request_deserializer, handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(
            _guard_unary(method, handler.unary_unary), handler.request_deserializer, handler.response_serializer
        )


def _guard_unary(method: str, behaviour: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    async def call(request: object, context: grpc.aio.ServicerContext[object, object]) -> object:
        try:
            return await behaviour(request, context)
        except (grpc.aio.AbortError, asyncio.CancelledError):
            raise
        except Exception as err:  # the edge of the process: mapped, logged, never swallowed
            await _abort(method, err, context)
            raise

    return call


def _guard_stream(
    method: str, behaviour: Callable[..., AsyncGenerator[object]]
) -> Callable[..., AsyncIterator[object]]:
    async def call(request: object, context: grpc.aio.ServicerContext[object, object]) -> AsyncIterator[object]:
        try:
            async with aclosing(behaviour(request, context)) as responses:
                async for response in responses:
                    yield response
        except (grpc.aio.AbortError, asyncio.CancelledError, GeneratorExit):
            raise
        except Exception as err:  # the edge of the process: mapped, logged, never swallowed
            await _abort(method, err, context)

    return call


async def _abort(method: str, error: Exception, context: grpc.aio.ServicerContext[object, object]) -> None:
    if not isinstance(error, DomainError):
        incident = uuid.uuid4().hex
        _log.error("unexpected error", extra={"method": method, "incident_id": incident}, exc_info=error)
        error = InternalFault("INTERNAL", "internal error, see incident_id", metadata={"incident_id": incident})
    elif isinstance(error, InternalFault):
        _log.error("internal fault", extra={"method": method, "reason": error.reason}, exc_info=error)
    await context.abort_with_status(rpc_status.to_status(to_status(error)))
