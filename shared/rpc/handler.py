"""What a handler of any kind calls: finds it, exchanges it, and runs a context around each call."""

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


def is_asynchronous(handler: Handler) -> bool:
    """Whether it can be served; what gRPC's own services leave unimplemented are plain functions that raise."""
    behaviour = behaviour_of(handler)
    return inspect.iscoroutinefunction(behaviour) or inspect.isasyncgenfunction(behaviour)


def behaviour_of(handler: Handler) -> Behaviour:
    """What is called with a request, or an iterator of requests, and a context."""
    behaviour: Behaviour = getattr(handler, _kind(handler))
    return behaviour


def with_behaviour(handler: Handler, behaviour: Behaviour) -> Handler:
    """The same RPC with something else to call."""
    make = getattr(grpc, f"{_kind(handler)}_rpc_method_handler")
    return make(behaviour, handler.request_deserializer, handler.response_serializer)


def _kind(handler: Handler) -> str:
    names = {False: "unary", True: "stream"}
    return f"{names[handler.request_streaming]}_{names[handler.response_streaming]}"


def around(handler: Handler, enter: Around) -> Handler:
    """A handler of the same kind that runs each call inside `enter(context)`.

    Methods that answer with a stream may be async generators or coroutines that write to the context (grpcio's own
    health service does). Blocking methods are not supported: the services have none.
    """
    behaviour = behaviour_of(handler)
    wrap = _generator if inspect.isasyncgenfunction(behaviour) else _coroutine
    return with_behaviour(handler, wrap(behaviour, enter))


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
