"""A replica whose every metric can be read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from inference_svc.app.meter import Meter
from inference_svc.domain.generation import Question, Sampling
from inference_svc.domain.residency import ResidentState
from inference_svc.telemetry.metric import PrometheusObserver
from shared.base_model import BaseModel
from shared.names import AdapterName
from tests.unit.inference_svc.conftest import ALIAS, Replica

PAIR = {"tenant": "acme", "adapter": "answer"}


class MeteredReplica(Replica):
    """A replica and the value of each of its metrics."""

    metrics: CollectorRegistry

    @classmethod
    def of(cls, base: BaseModel, folder: Path, **options: int) -> MeteredReplica:
        """Measured on a registry of its own."""
        registry = CollectorRegistry()
        found = cls(base, folder, meter=Meter([PrometheusObserver(registry, label_sets=100)]), **options)
        found.metrics = registry
        return found

    @classmethod
    @asynccontextmanager
    async def live(cls, base: BaseModel, folder: Path) -> AsyncIterator[MeteredReplica]:
        """With one live adapter."""
        replica = cls.of(base, folder)
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        yield replica
        await replica.fleet.stop()

    def value(self, name: str, **labels: str) -> float | None:
        """The sample, None where there is none."""
        return self.metrics.get_sample_value(f"goldsmith_{name}", labels)

    def outcomes(self, **pair: str) -> dict[str, float]:
        """Requests of a tenant and adapter by outcome."""
        return {
            sample.labels["outcome"]: sample.value
            for family in self.metrics.collect()
            for sample in family.samples
            if sample.name == "goldsmith_requests_total" and sample.labels.items() >= pair.items()
        }

    def states(self) -> dict[str, float]:
        """Revisions by state, without the states that none is in."""
        found = {state.value: self.value("resident_revisions", state=state.value) for state in ResidentState}
        assert None not in found.values()
        return {state: count for state, count in found.items() if count}


def ask(adapter: str = str(AdapterName("acme", "answer")), **changes: object) -> Question:
    """A question to the adapter, or to the base model under `contract`."""
    fields: dict[str, object] = {
        "adapter": adapter,
        "input": "is it so?",
        "instructions": "",
        "contract": "",
        "kind": None,
        "sampling": Sampling(),
        "deadline_seconds": 60.0,
    }
    return Question(**(fields | changes))  # type: ignore[arg-type]  # fields by name
