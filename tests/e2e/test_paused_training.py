"""A real service with real training, paused, killed and resumed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.quickstart.service_process import ServiceProcess
from goldsmith.trainer.v1 import golden_dataset_pb2, training_job_pb2
from shared.client import TrainerClient
from shared.errors import StateConflict
from tests.e2e.training_sample import CONTRACT, rows, tiny_llama

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
TENANT = "tenants/acme"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    """A trainer on a tiny model, with a sealed dataset."""
    (tmp_path / "base").mkdir()
    base = tiny_llama(tmp_path / "base")
    flags = {
        "data-dir": str(tmp_path / "data"), "base-model-dir": str(base.folder), "listen": "127.0.0.1:0",
        "insecure-loopback": "true", "training-threads": "1",
    }  # fmt: skip
    process = ServiceProcess("trainer_svc", flags, tmp_path / "log")
    with process:
        with TrainerClient(process.wait_ready(60)) as trainer:
            trainer.create_contract(f"{TENANT}/contracts/answer", CONTRACT)
            golden = golden_dataset_pb2.GoldenDataset(contract=f"{TENANT}/contracts/answer")
            name = trainer.create_dataset(f"{TENANT}/datasets/golden", golden).name
            lines = (json.dumps({"input": row.input, "output": row.output}) for row in rows(100))
            trainer.upload(name, "\n".join(lines).encode())
        yield process


def _train(trainer: TrainerClient, name: str) -> training_job_pb2.TrainingJob:
    spec = training_job_pb2.TrainingSpec(rank=4, epoch_count=15)
    job = training_job_pb2.TrainingJob(
        dataset=f"{TENANT}/datasets/golden", adapter=f"{TENANT}/adapters/{name}", spec=spec
    )
    return trainer.train(f"{TENANT}/jobs/{name}", job)


def _until(trainer: TrainerClient, job: str, state: training_job_pb2.TrainingJobState.ValueType) -> None:
    for event in trainer.watch(job):
        if event.changed.state == state:
            return
    raise AssertionError(f"{job} ended: {trainer.job(job)}")


class TestPause:
    """PauseTrainingJob and ResumeTrainingJob."""

    def test_changes_no_byte_of_the_adapter(self, service: ServiceProcess) -> None:
        """Paused at a step, the service killed meanwhile, resumed: the manifest is that of a run without a pause."""
        with TrainerClient(service.wait_ready(60)) as trainer:
            paused, whole = _train(trainer, "paused").name, _train(trainer, "whole").name
            next(event for event in trainer.watch(paused) if event.HasField("checkpoint"))
            assert trainer.pause(paused).state == training_job_pb2.TRAINING_JOB_STATE_PAUSING
            _until(trainer, paused, training_job_pb2.TRAINING_JOB_STATE_PAUSED)
            step = trainer.job(paused).progress.step
            _until(trainer, whole, training_job_pb2.TRAINING_JOB_STATE_RUNNING)
        service.kill()

        with TrainerClient(service.start().wait_ready(60)) as trainer:
            assert trainer.job(paused).state == training_job_pb2.TRAINING_JOB_STATE_PAUSED
            resumed = trainer.resume(paused)
            for name in (paused, whole):
                _until(trainer, name, training_job_pb2.TRAINING_JOB_STATE_SUCCEEDED)
            first, other = trainer.job(paused), trainer.job(whole)

            assert (resumed.state, first.attempt) == (training_job_pb2.TRAINING_JOB_STATE_QUEUED, 2)
            assert 0 < step < first.progress.step_count
            assert trainer.revision(first.revision).digest == trainer.revision(other.revision).digest
            assert first.run_time.ToTimedelta().total_seconds() > 0
            with pytest.raises(StateConflict, match="SUCCEEDED"):
                trainer.pause(paused)
