"""Training through kill -9: the child three times at random steps, the service once; the adapter must not show it."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from deploy.quickstart.invoices import invoices
from deploy.quickstart.service_process import ServiceProcess
from goldsmith.trainer.v1 import golden_dataset_pb2, training_job_pb2
from shared.adapter.package import WEIGHTS_NAME
from shared.client import TrainerClient
from tests.bench.result import Figures
from tests.bench.train_material import BASE

_TENANT = "tenants/bench"
_TRAIN_ROWS, _HOLDOUT_ROWS, _EPOCHS = 240, 20, 4
_CHILD_KILLS = 3
_PORT = "127.0.0.1:50461"
"""The service must be found again where it was."""


def measure() -> Figures:
    """Whether a run that was killed four times ends with the bytes of one that was left alone."""
    rng = random.Random(4)
    with tempfile.TemporaryDirectory() as folder, _service(Path(folder)) as service, TrainerClient(_PORT) as trainer:
        _dataset(trainer)
        whole = _weights(trainer, _job(trainer, "whole"))
        killed = _job(trainer, "killed")
        steps = []
        for _ in range(_CHILD_KILLS):
            steps.append(_after_random_progress(trainer, killed, rng))
            _child(service).kill()
        steps.append(_after_random_progress(trainer, killed, rng))
        service.kill()
        service.start().wait_ready()
        identical = _weights(trainer, killed) == whole
        attempts = trainer.job(killed).attempt
    return {"resume_identical": int(identical), "resume_kills": len(steps), "resume_attempts": attempts,
            "resume_killed_at_steps": " ".join(map(str, steps))}  # fmt: skip


@contextmanager
def _service(folder: Path) -> Iterator[ServiceProcess]:
    flags = {
        "base-model-dir": str(BASE),
        "data-dir": str(folder / "data"),
        "listen": _PORT,
        "insecure-loopback": "true",
        "servability-proof": "static",
    }
    with ServiceProcess("trainer_svc", flags, folder / "trainer.log") as service:
        service.wait_ready()
        yield service


def _dataset(trainer: TrainerClient) -> None:
    tenant = invoices(_TRAIN_ROWS, _HOLDOUT_ROWS)
    contract = trainer.create_contract(f"{_TENANT}/contracts/answer", tenant.spec)
    golden = golden_dataset_pb2.GoldenDataset(contract=contract.name)
    name = trainer.create_dataset(f"{_TENANT}/datasets/golden", golden).name
    sealed = trainer.upload(name, tenant.upload())
    assert sealed.state == golden_dataset_pb2.GOLDEN_DATASET_STATE_ACTIVE, sealed


def _job(trainer: TrainerClient, name: str) -> str:
    job = training_job_pb2.TrainingJob(
        dataset=f"{_TENANT}/datasets/golden",
        adapter=f"{_TENANT}/adapters/{name}",
        spec=training_job_pb2.TrainingSpec(epoch_count=_EPOCHS),
    )
    return trainer.train(f"{_TENANT}/jobs/{name}", job).name


def _weights(trainer: TrainerClient, job: str) -> str:
    """Digest of the published adapter's weights, once the job has ended."""
    for _ in trainer.watch(job):
        pass
    done = trainer.job(job)
    assert done.state == training_job_pb2.TRAINING_JOB_STATE_SUCCEEDED, done.failure
    return next(file.digest for file in trainer.revision(done.revision).files if file.filename == WEIGHTS_NAME)


def _after_random_progress(trainer: TrainerClient, job: str, rng: random.Random) -> int:
    """Returns some steps after the last checkpoint, at any moment of a step; the step reached."""
    begin, wanted = trainer.job(job).progress.step, rng.randint(7, 22)
    while True:
        now = trainer.job(job)
        assert now.phase <= training_job_pb2.TRAINING_PHASE_TRAINING, "the run ended before it was killed"
        if now.progress.step >= begin + wanted:
            time.sleep(rng.uniform(0.0, 0.5))
            return now.progress.step
        time.sleep(0.05)


def _child(service: ServiceProcess) -> psutil.Process:
    children = psutil.Process(service.process.pid).children(recursive=True)
    return next(child for child in children if "trainer_svc.worker" in child.cmdline())
