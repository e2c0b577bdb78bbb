"""Prometheus metrics of serving.

Counters have the labels tenant and adapter, within bounds: adapter is empty for the base model, both are empty where a
request named nothing that exists. Histograms never have them, since each of their label sets is some twenty series.
"""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from goldsmith.error.v1.error_reason_pb2 import ErrorReason
from inference_svc.app.meter import CANCELLED, OK, Observer
from inference_svc.app.progress import Progress
from inference_svc.domain.residency import Resident, ResidentState
from inference_svc.telemetry.stage import STAGES
from shared.adapter.canary import RollbackReason
from shared.names import AliasName, RevisionName
from shared.telemetry.bucket import SECONDS
from shared.telemetry.label import OTHER, BoundedLabels

_PAIR = ("tenant", "adapter")
_LOAD_OUTCOMES = {
    ResidentState.LIVE: "live",
    ResidentState.REJECTED: "rejected",
    ResidentState.UNLOADED: "failed",
}
"""How a load ended, by the state that it led to."""
_BROKEN = "GUARANTEE_BROKEN"
_OUTCOMES = frozenset({OK, CANCELLED, *(name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys())})  # noqa: SIM118  # not a mapping
"""Outcomes that have series of their own; a newer registry's reason has not."""


class PrometheusObserver(Observer):
    """`label_sets` bounds the pairs of tenant and adapter that have series of their own."""

    def __init__(self, registry: CollectorRegistry, *, label_sets: int) -> None:
        self._labels = BoundedLabels(limit=label_sets, share=max(2, label_sets // 10))
        self._begun: set[tuple[str, str]] = set()

        def counter(name: str, text: str, *more: str) -> Counter:
            return Counter(name, text, (*_PAIR, *more), registry=registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(name, text, labels, buckets=SECONDS, registry=registry)

        self._requests = counter(
            "goldsmith_requests_total",
            "Generation requests that ended: OK, CANCELLED by the caller, or the reason of their error.",
            "outcome",
        )
        self._prompt_tokens = counter("goldsmith_prompt_tokens_total", "Prompt tokens sent to the engine.")
        self._cached = counter(
            "goldsmith_cached_prompt_tokens_total", "Prompt tokens that the engine found in its prefix cache."
        )
        self._output = counter("goldsmith_output_tokens_total", "Tokens generated, those of failed attempts included.")
        self._saved = counter(
            "goldsmith_saved_prompt_tokens_total",
            "Tokens of the instruction prompt that answered requests did not need to send.",
        )
        self._retries = counter("goldsmith_format_retries_total", "Attempts after the first of a request.")
        self._invalid = counter(
            "goldsmith_invalid_outputs_total",
            "Finished outputs that broke a guaranteed contract; refused, never sent. Must stay 0.",
        )
        self._flips = counter("goldsmith_alias_flips_total", "Aliases that began to mean another revision.")
        self._evictions = counter(
            "goldsmith_adapter_evictions_total", "Idle revisions unloaded to make room for another."
        )
        self._quarantines = counter(
            "goldsmith_adapter_quarantines_total", "Revisions barred since they computed NaN or infinity."
        )
        self._plain = (
            self._prompt_tokens, self._cached, self._output, self._saved, self._retries, self._invalid, self._flips,
            self._evictions, self._quarantines,
        )  # fmt: skip
        self._rollbacks = counter(
            "goldsmith_canary_rollbacks_total", "Canaries that this replica found to be worse.", "reason"
        )
        self._loads = counter("goldsmith_adapter_loads_total", "Loads of revisions that ended.", "outcome")
        self._load_seconds = histogram(
            "goldsmith_adapter_load_stage_seconds",
            "Time in each stage of a load: fetch, verify, load, prove.",
            "stage",
        )
        self._residents = Gauge(
            "goldsmith_resident_revisions", "Revisions known to this replica, by state.", ("state",), registry=registry
        )
        self._pinned = Gauge(
            "goldsmith_pinned_revisions", "Revisions that are pinned, by state.", ("state",), registry=registry
        )
        self._unknown_pins = Gauge(
            "goldsmith_unknown_pins", "Pinned aliases that this replica does not know.", registry=registry
        )
        for state in ResidentState:
            self._residents.labels(state.value)
            self._pinned.labels(state.value)
        self._running = Gauge(
            "goldsmith_requests_in_progress", "Generation requests that run or wait.", registry=registry
        )
        self._request_seconds = histogram("goldsmith_request_seconds", "Time of a whole generation request.")
        self._adapter_wait = histogram(
            "goldsmith_adapter_wait_seconds", "Time a request waited for its adapter or contract to be ready."
        )
        self._queue = histogram("goldsmith_queue_seconds", "Time a request waited for its place in the engine.")
        self._engine = histogram("goldsmith_engine_seconds", "Time of one attempt in the engine.")
        self._first_token = histogram(
            "goldsmith_time_to_first_token_seconds",
            "Time from arrival to the first token, whether or not it is streamed.",
        )
        self._check = histogram("goldsmith_check_seconds", "Time to check one finished output against its contract.")

    def request_begins(self, progress: Progress) -> None:
        """Counts it as running."""
        self._running.inc()

    def request_ends(self, progress: Progress, outcome: str) -> None:
        """Counts it and what it cost, and notes where its time went as far as it came."""
        now = time.monotonic()
        pair, usage = self._pair(progress.tenant, progress.adapter), progress.usage()
        self._requests.labels(*pair, outcome if outcome in _OUTCOMES else OTHER).inc()
        self._prompt_tokens.labels(*pair).inc(usage.prompt_tokens)
        self._cached.labels(*pair).inc(usage.cached_prompt_tokens)
        self._output.labels(*pair).inc(usage.output_tokens)
        if progress.is_answered:
            self._saved.labels(*pair).inc(max(0, usage.instruction_tokens_saved))  # a counter never falls
        self._retries.labels(*pair).inc(max(0, len(progress.attempts) - 1))
        self._invalid.labels(*pair).inc(outcome == _BROKEN)
        self._running.dec()
        self._request_seconds.observe(now - progress.begin)
        self._observe_stages(progress, now)

    def _observe_stages(self, progress: Progress, now: float) -> None:
        if progress.target_time:
            self._adapter_wait.observe(progress.target_time - progress.begin)
            in_engine = progress.attempts[0].begin if progress.attempts else now
            self._queue.observe(in_engine - progress.target_time)
        for attempt in progress.attempts:
            self._engine.observe((attempt.engine_end or now) - attempt.begin)
            if attempt.check_end:
                self._check.observe(attempt.check_end - attempt.engine_end)
        if progress.attempts and progress.attempts[0].first_token:
            self._first_token.observe(progress.attempts[0].first_token - progress.begin)

    def revision_moves(self, resident: Resident, before: ResidentState, seconds: float) -> None:
        """Keeps the number of revisions in each state, and the outcome and stages of loads."""
        if resident.state is not before:
            self._residents.labels(before.value).dec()
        self._residents.labels(resident.state.value).inc()
        if resident.state is ResidentState.REJECTED and resident.is_quarantined:
            self._quarantines.labels(*self._pair(resident.revision.tenant, resident.revision.adapter)).inc()
        if resident.is_pinned:
            self._pinned.labels(before.value).dec()
            self._pinned.labels(resident.state.value).inc()
        if before not in STAGES:
            return
        self._load_seconds.labels(STAGES[before]).observe(seconds)
        outcome = _LOAD_OUTCOMES.get(resident.state)
        if outcome is not None:
            name = resident.revision
            self._loads.labels(*self._pair(name.tenant, name.adapter), outcome).inc()

    def revision_pinned(self, resident: Resident) -> None:
        """Keeps the number of pinned revisions in each state."""
        self._pinned.labels(resident.state.value).inc(1 if resident.is_pinned else -1)

    def pins_change(self, unknown: int) -> None:
        """Keeps it."""
        self._unknown_pins.set(unknown)

    def revision_forgotten(self, resident: Resident) -> None:
        """Counts it in no state any more."""
        self._residents.labels(resident.state.value).dec()

    def alias_flips(self, alias: AliasName, revision: RevisionName) -> None:
        """Counts it."""
        self._flips.labels(*self._pair(alias.tenant, alias.adapter)).inc()

    def revision_evicted(self, revision: RevisionName) -> None:
        """Counts it."""
        self._evictions.labels(*self._pair(revision.tenant, revision.adapter)).inc()

    def canary_rolls_back(self, alias: AliasName, revision: RevisionName, reason: RollbackReason) -> None:
        """Counts it."""
        self._rollbacks.labels(*self._pair(alias.tenant, alias.adapter), reason.value).inc()

    def _pair(self, tenant: str, adapter: str) -> tuple[str, str]:
        """Labels of an adapter. All its counters begin together at 0, so that its first fault is an increase."""
        pair = self._labels.of(tenant, adapter)
        if pair not in self._begun:
            self._begun.add(pair)
            for each in self._plain:
                each.labels(*pair)
        return pair
