"""What a handler of any kind calls, and the same handler with something else to call."""

from __future__ import annotations

import inspect

import grpc

from shared.rpc.handler import Behaviour, Handler


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
