"""OpenTelemetry spans of serving: what a request waited for, and the stages of a load.

Spans are made when the times are known, at the end of a request, as children of the RPC's span. Attributes are names
and counts; no prompt, answer, or text of an error ever is one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.context import Context
from opentelemetry.trace import Span, StatusCode, Tracer, get_current_span, set_span_in_context

from inference_svc.app.meter import Observer
from inference_svc.app.progress import Attempt, Progress
from inference_svc.domain.residency import Resident, ResidentState
from inference_svc.telemetry.stage import STAGES
from shared.names import RevisionName

Attributes = Mapping[str, str | int]


@dataclass
class _Clock:
    """Wall clock readings, in nanoseconds, for those of the monotonic clock, in seconds."""

    offset: int

    @classmethod
    def now(cls) -> _Clock:
        return cls(time.time_ns() - time.monotonic_ns())

    def at(self, seconds: float) -> int:
        return self.offset + int(seconds * 1e9)


class TraceObserver(Observer):
    """Makes a span of all that takes time."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._loads: dict[RevisionName, Span] = {}

    def request_ends(self, progress: Progress, outcome: str) -> None:
        """Spans adapter, queue, and for each attempt engine (prefill, decode) and check."""
        server = get_current_span()
        if not server.is_recording():  # tracing is off, or this trace is not sampled
            return
        usage = progress.usage()
        names = {
            "goldsmith.tenant": progress.tenant,
            "goldsmith.adapter": progress.adapter,
            "goldsmith.revision": progress.revision,
            "goldsmith.contract": progress.contract,
        }
        server.set_attributes(
            {
                **{key: name for key, name in names.items() if name},
                "goldsmith.outcome": outcome,
                "goldsmith.attempt_count": len(progress.attempts),
                "goldsmith.prompt_tokens": usage.prompt_tokens,
                "goldsmith.cached_prompt_tokens": usage.cached_prompt_tokens,
                "goldsmith.output_tokens": usage.output_tokens,
            }
        )
        self._stages(progress, _Clock.now())

    def _stages(self, progress: Progress, clock: _Clock) -> None:
        now = time.monotonic()
        self._span("adapter", clock.at(progress.begin), clock.at(progress.target_time or now))
        if progress.target_time:
            in_engine = progress.attempts[0].begin if progress.attempts else now
            self._span("queue", clock.at(progress.target_time), clock.at(in_engine))
        for number, attempt in enumerate(progress.attempts, 1):
            self._attempt(attempt, number, clock)

    def _attempt(self, attempt: Attempt, number: int, clock: _Clock) -> None:
        end = attempt.engine_end or time.monotonic()
        counts = {"goldsmith.attempt": number, "goldsmith.output_tokens": len(attempt.token_ids)}
        engine = self._span("engine", clock.at(attempt.begin), clock.at(end), counts)
        if attempt.first_token:
            inside = set_span_in_context(engine)
            self._span("prefill", clock.at(attempt.begin), clock.at(attempt.first_token), parent=inside)
            self._span("decode", clock.at(attempt.first_token), clock.at(end), parent=inside)
        if attempt.check_end:
            begin, end = clock.at(attempt.engine_end), clock.at(attempt.check_end)
            self._span("check", begin, end, {"goldsmith.attempt": number})

    def revision_moves(self, resident: Resident, before: ResidentState, seconds: float) -> None:
        """A span for a load and one for each of its stages; children of the request that caused it, if one did."""
        revision, now = resident.revision, time.monotonic()
        clock = _Clock.now()
        if resident.state is ResidentState.FETCHING:  # the task that loads it, which has the request's context
            self._loads[revision] = self._tracer.start_span("load adapter", attributes=_names(revision))
        load = self._loads.get(revision)
        stage = STAGES.get(before)
        if load is None or stage is None:
            return
        self._span(stage, clock.at(now - seconds), clock.at(now), parent=set_span_in_context(load))
        if resident.state not in STAGES:
            load.set_attribute("goldsmith.state", resident.state.value)
            if resident.state is not ResidentState.LIVE:
                load.set_status(StatusCode.ERROR, resident.state.value)
            load.end()
            del self._loads[revision]

    def _span(
        self, name: str, begin: int, end: int, attributes: Attributes | None = None, parent: Context | None = None
    ) -> Span:
        span = self._tracer.start_span(name, context=parent, start_time=begin, attributes=attributes)
        span.end(end)
        return span


def _names(revision: RevisionName) -> Attributes:
    return {
        "goldsmith.tenant": revision.tenant,
        "goldsmith.adapter": revision.adapter,
        "goldsmith.revision": str(revision),
    }
