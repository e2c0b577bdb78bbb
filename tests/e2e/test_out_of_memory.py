"""Trainings for which there is too little memory, provoked by a limit on the process."""

from __future__ import annotations

import json
import random
import resource
import string
from pathlib import Path

import pytest

from deploy.quickstart.service_process import ServiceProcess
from goldsmith.trainer.v1 import golden_dataset_pb2, training_job_pb2
from shared.base_model import BaseModel
from shared.client import TrainerClient
from tests.e2e.training_sample import CONTRACT, events_of, rows, start, write_run
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.domain.job import OUT_OF_MEMORY
from trainer_svc.domain.run import EXIT_OUT_OF_MEMORY, RunFolder

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
_TENANT = "tenants/acme"
_LIMIT_BYTES = 960 << 20
"""A child that trains in small batches takes 490 to 640 MiB for its data, by the processor; in large ones 1,430."""
_LARGE_BATCH = 256


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU holds is not limited here."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def _limit(pid: int) -> None:
    """Also of the processes that it starts from now on."""
    resource.prlimit(pid, resource.RLIMIT_DATA, (_LIMIT_BYTES, _LIMIT_BYTES))


def _long_rows(count: int) -> list[CheckedRow]:
    """Some three hundred tokens each, and no two alike."""
    draw = random.Random(0)
    letters = string.ascii_lowercase + "     "
    return [
        CheckedRow(row.row, f"{row.input} {''.join(draw.choices(letters, k=250))}", row.output) for row in rows(count)
    ]


class TestWorker:
    """The child process of a training."""

    def test_tells_it_by_its_status(self, base: BaseModel, tmp_path: Path) -> None:
        """The base is loaded and the first step takes too much: nothing is written that would need memory."""
        folder = write_run(tmp_path / "large", base, _long_rows(_LARGE_BATCH), batch_size=_LARGE_BATCH)
        process = start(folder)
        _limit(process.pid)

        assert process.wait() == EXIT_OUT_OF_MEMORY, _log(folder)

        assert [event["phase"] for event in events_of(folder, "phase")] == ["preparing", "training"], _log(folder)
        assert not folder.failure.exists()
        assert not folder.package.exists()


class TestService:
    """The service, and its children with it, under a limit."""

    def test_ends_one_job_and_goes_on_with_the_next(self, base: BaseModel, tmp_path: Path) -> None:
        """The first says what to do, the second with smaller batches of the same rows succeeds."""
        flags = {
            "data-dir": str(tmp_path / "data"), "base-model-dir": str(base.folder), "listen": "127.0.0.1:0",
            "insecure-loopback": "true", "training-threads": "1",
        }  # fmt: skip
        with ServiceProcess("trainer_svc", flags, tmp_path / "log") as service:
            _limit(service.process.pid)
            with TrainerClient(service.wait_ready(60)) as trainer:
                dataset = _dataset(trainer)
                large, small = (_train(trainer, dataset, size) for size in (_LARGE_BATCH, 8))
                for name in (large, small):
                    list(trainer.watch(name))
                failed, done = trainer.job(large), trainer.job(small)

        assert (failed.state, done.state) == (
            training_job_pb2.TRAINING_JOB_STATE_FAILED,
            training_job_pb2.TRAINING_JOB_STATE_SUCCEEDED,
        ), (tmp_path / "log").read_text()[-2000:]
        assert (failed.failure.reason, failed.failure.user_error, failed.attempt) == (OUT_OF_MEMORY, False, 1)
        assert "batch_size" in failed.failure.message


def _log(folder: RunFolder) -> str:
    return (folder.path / "log").read_text()[-2000:]


def _dataset(trainer: TrainerClient) -> str:
    trainer.create_contract(f"{_TENANT}/contracts/answer", CONTRACT)
    golden = golden_dataset_pb2.GoldenDataset(contract=f"{_TENANT}/contracts/answer")
    name = trainer.create_dataset(f"{_TENANT}/datasets/golden", golden).name
    lines = (json.dumps({"input": row.input, "output": row.output}) for row in _long_rows(300))
    trainer.upload(name, "\n".join(lines).encode())
    return name


def _train(trainer: TrainerClient, dataset: str, batch_size: int) -> str:
    spec = training_job_pb2.TrainingSpec(rank=4, epoch_count=1, batch_size=batch_size)
    job = training_job_pb2.TrainingJob(dataset=dataset, adapter=f"{_TENANT}/adapters/a", spec=spec)
    return trainer.train(f"{_TENANT}/jobs/batch-{batch_size}", job).name
