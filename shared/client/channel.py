"""Channels as every client should open them: retries on UNAVAILABLE only, health-aware, errors as `DomainError`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import grpc

from shared.client.credentials import Credentials
from shared.rpc.status import from_rpc_error
from shared.telemetry.trace import trace_metadata

Response = TypeVar("Response")

# Retrying is safe: every RPC of the contracts is idempotent. Chunks of 1 MiB exceed the default retry buffer of
# 256 KiB, above which gRPC silently stops retrying.
_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.2s",
                "maxBackoff": "5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}
_OPTIONS = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.enable_retries", 1),
    ("grpc.per_rpc_retry_buffer_size", 8 << 20),
    ("grpc.max_receive_message_length", 8 << 20),
    ("grpc.keepalive_time_ms", 30_000),
)


def open_channel(address: str, credentials: Credentials | None = None) -> grpc.Channel:
    """A channel to `host:port`; connects on first use. Without credentials it is in plaintext, for loopback only."""
    if credentials is None:
        return grpc.insecure_channel(address, options=_OPTIONS)
    return grpc.secure_channel(address, credentials.for_channel(), options=_OPTIONS)


@contextmanager
def domain_errors() -> Iterator[None]:
    """Raises what the server reported as a `DomainError` with its reason, violations and hint."""
    try:
        yield
    except grpc.RpcError as err:
        raise from_rpc_error(err) from err


def call(method: Callable[..., Response], request: object, timeout_seconds: float, **metadata: str) -> Response:
    """One unary call with a deadline; the server continues the span that is active here, if one is.

    Raises:
        DomainError: whatever the server reported, or `Unavailable` when it could not be reached.
    """
    with domain_errors():
        return method(request, timeout=timeout_seconds, metadata=(*metadata.items(), *trace_metadata()))
