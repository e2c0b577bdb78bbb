"""The status code that a call ends with, as its caller sees it."""

from __future__ import annotations

import asyncio

import grpc

from shared.rpc.handler import Context

DEADLINE_SLACK_SECONDS = 0.1
"""The caller counts its deadline from before the request travelled, so its cancellation may come first."""


def final_code(context: Context, error: BaseException | None) -> grpc.StatusCode:
    """The code of a call whose handler returned, or raised `error`.

    gRPC core cancels the handler when the caller cancels and when the deadline passes; the time that was left tells
    which. A call that the server cuts off at the end of its drain counts as CANCELLED, and is UNAVAILABLE to its
    caller.
    """
    if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
        remaining = context.time_remaining()
        late = remaining is not None and remaining <= DEADLINE_SLACK_SECONDS
        return grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED
    code = context.code()
    if not isinstance(code, grpc.StatusCode):  # nothing set it: gRPC answers OK, or UNKNOWN for an exception
        return grpc.StatusCode.OK if error is None else grpc.StatusCode.UNKNOWN
    return code
