"""Turns whatever a handler raises into one precise status; nothing else in the services knows gRPC's error path."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
from grpc_status import rpc_status

from shared.errors import DomainError, InternalFault
from shared.rpc.handler import Context, Handler, around
from shared.rpc.status import to_status

_log = logging.getLogger(__name__)


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Maps `DomainError` by `shared.rpc.status`; anything else becomes INTERNAL with an incident id for the log."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wraps handlers of every kind; an unknown method has none."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        return handler and around(handler, lambda context: _guard(method, context))


@asynccontextmanager
async def _guard(method: str, context: Context) -> AsyncIterator[None]:
    try:
        yield
    except (grpc.aio.AbortError, asyncio.CancelledError):
        raise
    except Exception as err:  # the edge of the process: mapped, logged, never swallowed
        await _abort(method, err, context)


async def _abort(method: str, error: Exception, context: Context) -> None:
    if not isinstance(error, DomainError):
        incident = uuid.uuid4().hex
        _log.error("unexpected error", extra={"method": method, "incident_id": incident}, exc_info=error)
        error = InternalFault("INTERNAL", "internal error, see incident_id", metadata={"incident_id": incident})
    elif isinstance(error, InternalFault):
        _log.error("internal fault", extra={"method": method, "reason": error.reason}, exc_info=error)
    await context.abort_with_status(rpc_status.to_status(to_status(error)))
