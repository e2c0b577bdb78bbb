"""The W3C trace context in gRPC metadata (https://www.w3.org/TR/trace-context/), without OpenTelemetry's globals."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()


def trace_metadata() -> tuple[tuple[str, str], ...]:
    """Metadata that lets a called service continue the active span (`traceparent`); empty when there is none."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return tuple(carrier.items())


def remote_parent(metadata: Mapping[str, str]) -> Context:
    """The caller's span, as a context to start a span in; an absent or malformed header is no parent."""
    return _PROPAGATOR.extract(metadata, Context())
