"""Estimates against what they foretold: a job is calibrated, then run, in a service with the shipped base model.

`python -m tests.bench estimate`; about six minutes, on a machine that does nothing else. An error is what was told
over what it took, less one: 0.1 told a tenth too much. Jobs are those that differ most on a CPU: long rows under a JSON
contract, short ones under SQL, and another rank. Each estimate rests on its own calibration and on nothing else.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deploy.quickstart.invoices import invoices
from deploy.quickstart.sales import sales
from deploy.quickstart.service_process import ServiceProcess
from deploy.quickstart.tenant import DemoTenant
from goldsmith.trainer.v1 import golden_dataset_pb2, training_job_pb2
from shared.client import TrainerClient
from tests.bench.result import Figures, report
from tests.bench.train_material import BASE
from tests.bench.undisturbed import Undisturbed

_TENANT = "tenants/bench"


@dataclass(frozen=True)
class _Kind:
    """A job that is told and then done."""

    name: str
    golden: Callable[[], DemoTenant]
    epoch_count: int
    rank: int


_KINDS = (
    _Kind("long", partial(invoices, 320, 30), epoch_count=1, rank=16),
    _Kind("short", partial(sales, 400, 30), epoch_count=3, rank=16),
    _Kind("rank", partial(invoices, 240, 20), epoch_count=1, rank=64),
)


@dataclass(frozen=True)
class _Pair:
    """What was told of a job, and what it took."""

    told_seconds: float
    took_seconds: float
    told_bytes: int
    took_bytes: int
    calibration_seconds: float
    is_within: bool
    """Between the low and the high end of what was told."""

    @property
    def time_error(self) -> float:
        """Told over taken, less one."""
        return self.told_seconds / self.took_seconds - 1

    @property
    def memory_error(self) -> float:
        """Likewise."""
        return self.told_bytes / self.took_bytes - 1


def measure() -> Figures:
    """Errors of time and peak memory by kind of job, and the worst of each, without its sign."""
    undisturbed = Undisturbed(0)
    with tempfile.TemporaryDirectory() as folder:
        pairs = {kind.name: undisturbed.run(partial(_try, kind, Path(folder) / kind.name)) for kind in _KINDS}
    return {
        **{f"estimate_time_error_{name}": pair.time_error for name, pair in pairs.items()},
        "estimate_time_error_worst": max(abs(pair.time_error) for pair in pairs.values()),
        **{f"estimate_memory_error_{name}": pair.memory_error for name, pair in pairs.items()},
        "estimate_memory_error_worst": max(abs(pair.memory_error) for pair in pairs.values()),
        "estimate_within_range": sum(pair.is_within for pair in pairs.values()) / len(pairs),
        **{f"estimate_took_seconds_{name}": pair.took_seconds for name, pair in pairs.items()},
        **{f"estimate_calibration_seconds_{name}": pair.calibration_seconds for name, pair in pairs.items()},
        "estimate_worst_stolen": undisturbed.worst_stolen,
    }


def _try(kind: _Kind, folder: Path) -> _Pair:
    """In a service that has measured nothing yet."""
    flags = {"base-model-dir": str(BASE), "data-dir": str(folder / "data"), "listen": "127.0.0.1:0"}
    flags |= {"insecure-loopback": "true", "servability-proof": "vllm"}
    service = ServiceProcess("trainer_svc", flags, folder / "log")
    with service, TrainerClient(service.wait_ready()) as trainer:
        job = training_job_pb2.TrainingJob(
            dataset=_dataset(trainer, kind.golden()),
            adapter=f"{_TENANT}/adapters/{kind.name}",
            spec=training_job_pb2.TrainingSpec(epoch_count=kind.epoch_count, rank=kind.rank),
        )
        began = time.monotonic()
        told = trainer.estimate(_TENANT, job, calibrate=True)
        calibration_seconds = time.monotonic() - began
        _run(trainer, job)
    took = _usage(folder / "data" / "runs")
    low, middle, high = (cost.duration.ToTimedelta().total_seconds() for cost in (told.low, told.expected, told.high))
    seconds = took["startup_seconds"] + took["training_seconds"] + took["evaluation_seconds"]
    return _Pair(
        told_seconds=middle,
        took_seconds=seconds,
        told_bytes=told.peak_memory_bytes,
        took_bytes=int(took["peak_bytes"]),
        calibration_seconds=calibration_seconds,
        is_within=low <= seconds <= high,
    )


def _dataset(trainer: TrainerClient, golden: DemoTenant) -> str:
    contract = trainer.create_contract(f"{_TENANT}/contracts/answer", golden.spec)
    body = golden_dataset_pb2.GoldenDataset(contract=contract.name)
    name = trainer.create_dataset(f"{_TENANT}/datasets/golden", body).name
    sealed = trainer.upload(name, golden.upload())
    assert sealed.state == golden_dataset_pb2.GOLDEN_DATASET_STATE_ACTIVE, sealed
    return name


def _run(trainer: TrainerClient, job: training_job_pb2.TrainingJob) -> None:
    name = trainer.train(f"{_TENANT}/jobs/job", job).name
    for _ in trainer.watch(name):
        pass
    done = trainer.job(name)
    assert done.state == training_job_pb2.TRAINING_JOB_STATE_SUCCEEDED, done.failure


def _usage(runs: Path) -> dict[str, float]:
    """What the only run's own stopwatch said at its end."""
    (journal,) = runs.glob("*/events.jsonl")
    bodies = [json.loads(line) for line in journal.read_text().splitlines()]
    (usage,) = (body for body in bodies if body["type"] == "usage")
    return {key: value for key, value in usage.items() if isinstance(value, int | float)}


def main() -> None:
    """Prints the figures and writes build/bench/estimate.json."""
    report("estimate", measure())


if __name__ == "__main__":
    main()
