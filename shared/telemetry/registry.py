"""A registry of metrics without the time series that nobody asks for."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

_CREATED = "_created"


class PlainRegistry(CollectorRegistry):
    """Leaves out the time at which each counter began, which the client library adds as a gauge of its own.

    That is one more series for each of a counter's label sets, and Prometheus knows the time from its first scrape. The
    library's own switch is a global of the process (prometheus_client 0.26, `disable_created_metrics`).
    """

    def collect(self) -> Iterable[Metric]:
        """Every family, its `_created` samples left out."""
        for family in super().collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith(_CREATED)]
            yield family
