"""The operations page against what the services export."""

from __future__ import annotations

import re
from pathlib import Path

from inference_svc.telemetry.metric import PrometheusObserver
from shared.rpc.metric import MetricInterceptor
from shared.telemetry.telemetry import Telemetry
from trainer_svc.telemetry.metric import PrometheusObserver as TrainerObserver

PAGE = Path(__file__).parents[2] / "deploy" / "operations.md"
ROW = re.compile(r"\| `([a-z_]+)` \| (counter|gauge|histogram) \|")


class TestMetricTable:
    """The table of metrics in deploy/operations.md."""

    def test_lists_every_metric_with_its_type_and_no_other(self) -> None:
        """Process metrics aside, which are Prometheus's own."""
        own = Telemetry.of("any").registry
        standard = {family.name for family in own.collect()}
        PrometheusObserver(own, label_sets=10)
        TrainerObserver(own, label_sets=10)
        MetricInterceptor(own)

        exported = {
            (family.name + "_total" if family.type == "counter" else family.name, family.type)
            for family in own.collect()
            if family.name not in standard
        }

        assert set(ROW.findall(PAGE.read_text())) == exported

    def test_names_units_as_prometheus_asks(self) -> None:
        """Base units and `_total` (https://prometheus.io/docs/practices/naming/), and a help text for each."""
        registry = Telemetry.of("any").registry
        PrometheusObserver(registry, label_sets=10)
        TrainerObserver(registry, label_sets=10)
        ours = [family for family in registry.collect() if family.name.startswith("goldsmith_")]

        assert len(ours) > 15
        assert all(family.documentation.endswith(".") for family in ours)
        assert all(family.name.endswith("_seconds") for family in ours if family.type == "histogram")
