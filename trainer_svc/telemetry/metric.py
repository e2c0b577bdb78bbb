"""Prometheus metrics of training.

Counters have the label tenant, within bounds; histograms and the number of jobs do not, since each of their label sets
is some twenty series.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from goldsmith.error.v1.error_reason_pb2 import ErrorReason
from shared.names import DatasetName, JobName
from shared.telemetry.bucket import JOB_SECONDS
from shared.telemetry.label import OTHER, BoundedLabels
from trainer_svc.domain.dataset import Dataset
from trainer_svc.domain.job import JOB_REASONS, Job, JobState

_PREFIX = "ERROR_REASON_"
_FAILURES = frozenset({*JOB_REASONS, *(name.removeprefix(_PREFIX) for name in ErrorReason.keys())})  # noqa: SIM118  # not a mapping
_OK, _CANCELLED = "OK", "CANCELLED"


class PrometheusObserver:
    """Implements `Observer`; `label_sets` bounds the tenants that have series of their own."""

    def __init__(self, registry: CollectorRegistry, *, label_sets: int) -> None:
        # One pair for each tenant: its adapters are not told apart, and the other place of its share stays empty.
        self._labels = BoundedLabels(limit=label_sets, share=2)
        self._begun: set[str] = set()
        self._jobs = Gauge(
            "goldsmith_training_jobs", "Training jobs in the database, by state.", ("state",), registry=registry
        )
        self._ended = Counter(
            "goldsmith_training_runs_total",
            "Training jobs that a worker took up and that ended: OK, CANCELLED, or the reason of their failure.",
            ("tenant", "outcome"),
            registry=registry,
        )
        self._promotions = Counter(
            "goldsmith_training_promotions_total",
            "Revisions that training jobs published for an alias, by their adapter's policy: passed, stopped.",
            ("tenant", "outcome"),
            registry=registry,
        )
        self._restarts = Counter(
            "goldsmith_training_restarts_total",
            "Attempts of training jobs after the first: their process was killed, or the service was.",
            ("tenant",),
            registry=registry,
        )
        self._rows = Counter(
            "goldsmith_golden_rows_total",
            "Rows of sealed golden datasets, by whether they satisfy their contract: accepted, refused.",
            ("tenant", "outcome"),
            registry=registry,
        )
        self._datasets = Counter(
            "goldsmith_golden_datasets_total",
            "Golden datasets that were sealed and checked: active, failed.",
            ("tenant", "outcome"),
            registry=registry,
        )
        self._queue = Histogram(
            "goldsmith_training_queue_seconds",
            "Time from the creation of a training job to its first attempt.",
            buckets=JOB_SECONDS,
            registry=registry,
        )
        self._seconds = Histogram(
            "goldsmith_training_seconds",
            "Time from the first attempt of a training job to its end, restarts, pauses and waits for them included.",
            buckets=JOB_SECONDS,
            registry=registry,
        )
        self.jobs_counted({})

    def jobs_counted(self, counts: Mapping[JobState, int]) -> None:
        """Sets all states."""
        for state in JobState:
            self._jobs.labels(state.value).set(counts.get(state, 0))

    def attempt_begins(self, job: Job, waited_seconds: float) -> None:
        """Notes the wait of a first attempt, counts every other one but those after a pause."""
        tenant = self._tenant(JobName.parse(job.name).tenant)
        if job.attempt == 1:
            _observe(self._queue, waited_seconds)
        elif not job.is_resumed:
            self._restarts.labels(tenant).inc()

    def job_ends(self, job: Job) -> None:
        """Counts it by what became of it and of its revision, and notes how long it took."""
        tenant = self._tenant(JobName.parse(job.name).tenant)
        self._ended.labels(tenant, _outcome(job)).inc()
        if job.promotion is not None:
            self._promotions.labels(tenant, "passed" if job.promotion.passed else "stopped").inc()
        if job.start_time is not None and job.end_time is not None:
            _observe(self._seconds, (job.end_time - job.start_time).total_seconds())

    def dataset_checked(self, dataset: Dataset) -> None:
        """Counts it and its rows."""
        tenant = self._tenant(DatasetName.parse(dataset.name).tenant)
        self._datasets.labels(tenant, dataset.state.value).inc()
        if dataset.report is not None:
            refused = dataset.report.invalid_count
            self._rows.labels(tenant, "refused").inc(refused)
            self._rows.labels(tenant, "accepted").inc(dataset.report.row_count - refused)

    def _tenant(self, tenant: str) -> str:
        """The label of a tenant, whose counters begin together at 0, so that the first fault is an increase."""
        label, _ = self._labels.of(tenant, "")
        if label not in self._begun:
            self._begun.add(label)
            self._restarts.labels(label)
            for outcome in (_OK, _CANCELLED):
                self._ended.labels(label, outcome)
            for outcome in ("accepted", "refused"):
                self._rows.labels(label, outcome)
            for outcome in ("passed", "stopped"):
                self._promotions.labels(label, outcome)
        return label


def _observe(histogram: Histogram, seconds: float) -> None:
    """Notes a time between two readings of the wall clock, the only one that outlives a process.

    It may have been set back in between: such a time counts as 0, since a sum that falls reads as a restart.
    """
    histogram.observe(max(0.0, seconds))


def _outcome(job: Job) -> str:
    """What became of a final job, in one word that quotes nobody."""
    if job.state is JobState.SUCCEEDED:
        return _OK
    if job.state is JobState.CANCELLED:
        return _CANCELLED
    reason = job.failure.reason if job.failure is not None else ""
    return reason if reason in _FAILURES else OTHER
