"""What a process measures and where its spans go, made once by the composition root and handed to whoever needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NoOpTracerProvider, Tracer
from prometheus_client import CollectorRegistry
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from shared.names import invalid_field
from shared.telemetry.registry import PlainRegistry

_SCHEMES = ("http://", "https://")
_EXPORT_SECONDS = 3.0
"""For a batch, retries included: a collector that is gone must not hold up the end of the process."""


@dataclass(frozen=True)
class Telemetry:
    """A registry of metrics and a tracer, of one service in one process; tests make as many as they like."""

    registry: CollectorRegistry
    tracer: Tracer
    _provider: TracerProvider | None = None

    @classmethod
    def of(cls, service: str, *, otlp_endpoint: str = "", spans: SpanProcessor | None = None) -> Self:
        """Metrics of the process itself (memory, file descriptors, garbage collection) and a tracer.

        Spans go to the OTLP/gRPC collector at `otlp_endpoint` (`http://host:4317`, or `https://` for TLS) and to
        `spans`; with neither there are none, and asking for one costs some microseconds. OTEL_TRACES_SAMPLER and the
        other variables of the OpenTelemetry SDK hold.

        Raises:
            InvalidInput: FIELD_INVALID for an endpoint without a scheme, which would not say whether to use TLS.
        """
        if otlp_endpoint and not otlp_endpoint.startswith(_SCHEMES):
            raise invalid_field("otlp_endpoint", f"must begin with http:// or https://, got {otlp_endpoint!r}")
        registry = PlainRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        processors = [] if spans is None else [spans]
        if otlp_endpoint:
            # Imported only here: half of the SDK's import time, for a few deployments.
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

            processors.append(BatchSpanProcessor(OTLPSpanExporter(otlp_endpoint, timeout=_EXPORT_SECONDS)))
        if not processors:
            return cls(registry, NoOpTracerProvider().get_tracer(service))
        provider = TracerProvider(resource=Resource.create({SERVICE_NAME: service}), shutdown_on_exit=False)
        for processor in processors:
            provider.add_span_processor(processor)
        return cls(registry, provider.get_tracer(service), provider)

    def close(self) -> None:
        """Sends the spans that wait; blocks for a few seconds when the collector does not answer."""
        if self._provider is not None:
            self._provider.shutdown()
