"""Runs a context around each call of a gRPC method, whatever the kind of its handler."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any

import grpc

Handler = Any  # a grpc.RpcMethodHandler, which grpc does not type
Behaviour = Callable[..., Any]  # a servicer's method of any kind
Context = grpc.aio.ServicerContext[object, object]
Around = Callable[[Context], AbstractAsyncContextManager[None]]
"""Makes the context of one call. It sees what the call raises; an exception of its own replaces that one."""


def around(handler: Handler, enter: Around) -> Handler:
    """A handler of the same kind that runs each call inside `enter(context)`.

    Methods that answer with a stream may be async generators or coroutines that write to the context (grpcio's own
    health service does). Blocking methods are not supported: the services have none.
    """
    if handler.response_streaming:
        kind = "stream_stream" if handler.request_streaming else "unary_stream"
    else:
        kind = "stream_unary" if handler.request_streaming else "unary_unary"
    behaviour = getattr(handler, kind)
    wrap = _generator if inspect.isasyncgenfunction(behaviour) else _coroutine
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    return make(wrap(behaviour, enter), handler.request_deserializer, handler.response_serializer)


def _coroutine(behaviour: Behaviour, enter: Around) -> Behaviour:
    async def call(request: object, context: Context) -> object:
        async with enter(context):
            return await behaviour(request, context)

    return call


def _generator(behaviour: Behaviour, enter: Around) -> Behaviour:
    async def call(request: object, context: Context) -> AsyncGenerator[object]:
        # Closed by name: a caller that goes away must end the work now, not when garbage is collected.
        async with enter(context), aclosing(behaviour(request, context)) as responses:
            async for response in responses:
                yield response

    return call
