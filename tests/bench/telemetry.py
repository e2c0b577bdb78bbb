"""What measuring costs a request: processor time of interceptors and observers, with traces off and on."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any

import grpc
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import use_span

from inference_svc.app.meter import Meter, Observer
from inference_svc.app.progress import Progress
from inference_svc.telemetry.metric import PrometheusObserver
from inference_svc.telemetry.span import TraceObserver
from shared.rpc.interceptor import ErrorInterceptor
from shared.rpc.metric import MetricInterceptor
from shared.rpc.trace import TraceInterceptor
from shared.telemetry.telemetry import Telemetry
from tests.bench.result import report

_CALLS = 2_000
_ROUNDS = 9
_CONTEXT = SimpleNamespace(code=lambda: None, time_remaining=lambda: 5.0)
_DETAILS = SimpleNamespace(method="/a.B/C", invocation_metadata=(("x-adapter", "tenants/a/adapters/b"),))


class _Nowhere(SpanExporter):
    """A collector that takes no time."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Drops them."""
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to do."""


def main() -> None:
    """Prints the figures and writes build/bench/telemetry.json."""
    report("telemetry", asyncio.run(_measure()))


async def _measure() -> dict[str, float | int | str]:
    off, on = Telemetry.of("off"), Telemetry.of("on", spans=BatchSpanProcessor(_Nowhere()))
    kinds: dict[str, Callable[[], Awaitable[None]]] = {
        "rpc_errors_us": _rpc(ErrorInterceptor()),
        "rpc_metrics_us": _rpc(MetricInterceptor(off.registry)),
        "rpc_trace_off_us": _rpc(TraceInterceptor(off.tracer)),
        "rpc_trace_on_us": _rpc(TraceInterceptor(on.tracer)),
        "request_metrics_us": _request(off, PrometheusObserver(off.registry, label_sets=100)),
        "request_trace_off_us": _request(off, TraceObserver(off.tracer)),
        "request_trace_on_us": _request(on, TraceObserver(on.tracer)),
    }
    rounds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(_ROUNDS):  # in turns: what else the machine does meets all of them
        for kind, once in kinds.items():
            begin = time.process_time()
            for _ in range(_CALLS):
                await once()
            rounds[kind].append((time.process_time() - begin) / _CALLS * 1e6)
    on.close()
    return {kind: round(statistics.median(values), 1) for kind, values in rounds.items()}


def _rpc(interceptor: grpc.aio.ServerInterceptor) -> Callable[[], Awaitable[None]]:
    async def nothing(request: bytes, context: object) -> bytes:
        return request

    handler = grpc.unary_unary_rpc_method_handler(nothing)

    async def find(details: object) -> Any:  # a handler
        return handler

    async def once() -> None:
        wrapped = await interceptor.intercept_service(find, _DETAILS)
        await wrapped.unary_unary(b"", _CONTEXT)

    return once


def _request(telemetry: Telemetry, observer: Observer) -> Callable[[], Awaitable[None]]:
    meter = Meter([observer])

    async def once() -> None:
        with use_span(telemetry.tracer.start_span("rpc"), end_on_exit=True):
            progress = Progress(deadline_seconds=60.0)
            with meter.request(progress):
                progress.tenant, progress.adapter, progress.target_time = "a", "b", progress.begin
                attempt = progress.next_attempt()
                attempt.take([1, 2, 3], 0)
                attempt.engine_end = attempt.check_end = attempt.first_token
                progress.is_answered = True

    return once


if __name__ == "__main__":
    main()
