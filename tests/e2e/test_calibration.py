"""A real service that measures a job before it trains it."""

from __future__ import annotations

import json
import random
import weakref
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from deploy.quickstart.service_process import ServiceProcess
from goldsmith.trainer.v1 import golden_dataset_pb2, training_job_pb2
from shared.client import TrainerClient
from shared.errors import Exhausted, StateConflict
from tests.e2e.training_sample import CONTRACT, events_of, rows, tiny_llama, write_run
from trainer_svc.curation.compiled_example import Example
from trainer_svc.domain.run import RunSpec
from trainer_svc.engine import calibration
from trainer_svc.engine.calibration import sample
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.served import Server

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
TENANT = "tenants/acme"
SPEC = training_job_pb2.TrainingSpec(rank=4, epoch_count=2)
JOB = training_job_pb2.TrainingJob(dataset=f"{TENANT}/datasets/golden", adapter=f"{TENANT}/adapters/a", spec=SPEC)


@pytest.fixture
def trainer(tmp_path: Path) -> Iterator[TrainerClient]:
    """Of a service on a tiny model, with a sealed dataset."""
    (tmp_path / "base").mkdir()
    base = tiny_llama(tmp_path / "base")
    flags = {
        "data-dir": str(tmp_path / "data"), "base-model-dir": str(base.folder), "listen": "127.0.0.1:0",
        "insecure-loopback": "true", "training-threads": "1",
    }  # fmt: skip
    with (
        ServiceProcess("trainer_svc", flags, tmp_path / "log") as process,
        TrainerClient(process.wait_ready(60)) as client,
    ):
        client.create_contract(f"{TENANT}/contracts/answer", CONTRACT)
        golden = golden_dataset_pb2.GoldenDataset(contract=f"{TENANT}/contracts/answer")
        name = client.create_dataset(f"{TENANT}/datasets/golden", golden).name
        lines = (json.dumps({"input": row.input, "output": row.output}) for row in rows(100))
        client.upload(name, "\n".join(lines).encode())
        yield client


class TestCalibration:
    """EstimateTrainingJob with calibrate."""

    def test_estimates_a_job_that_nothing_like_was_run_before(self, trainer: TrainerClient, tmp_path: Path) -> None:
        """Told before the run, kept for the next call, refused while the job runs; memory shows with the first step."""
        with pytest.raises(StateConflict, match="set calibrate"):
            trainer.estimate(TENANT, JOB)

        told = trainer.estimate(TENANT, JOB, calibrate=True)
        again = trainer.estimate(TENANT, JOB, calibrate=True)
        name = trainer.train(f"{TENANT}/jobs/first", JOB).name
        first = next(event.progress for event in trainer.watch(name) if event.HasField("progress"))
        other = training_job_pb2.TrainingJob(dataset=JOB.dataset, spec=training_job_pb2.TrainingSpec(rank=8))
        with pytest.raises(Exhausted, match="needs the machine"):
            trainer.estimate(TENANT, other, calibrate=True)
        list(trainer.watch(name))

        job = trainer.job(name)
        assert job.state == training_job_pb2.TRAINING_JOB_STATE_SUCCEEDED
        assert (told.calibrated, told.run_count, told.fits) == (True, 1, True)
        assert again.expected == told.expected
        assert told.expected.duration.ToTimedelta().total_seconds() > 1, "torch alone takes longer to import"
        assert first.step == 1
        assert 100 << 20 < first.peak_memory_bytes <= job.progress.peak_memory_bytes
        assert told.peak_memory_bytes == pytest.approx(job.progress.peak_memory_bytes, rel=0.3)
        assert trainer.estimate(TENANT, JOB).run_count == 2, "the run and the calibration"
        assert not (tmp_path / "data" / "calibration").exists()


class TestValidating:
    """A calibration of a job that stops early."""

    def test_validates_beside_the_model_that_is_trained(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Once; a job without early stopping only evaluates: the base is loaded twice, and nothing else held."""
        base = tiny_llama(tmp_path)
        held, trained = list[bool](), weakref.WeakSet[Any]()
        make, load = calibration.new_adapter, Server.load
        monkeypatch.setattr(calibration, "new_adapter", lambda *given: _noted(trained, make(*given)))
        monkeypatch.setattr(Server, "load", lambda *given: (held.append(bool(trained)), load(*given))[1])
        counts = []

        for patience in (3, 0):
            folder = write_run(tmp_path / str(patience), base, train=rows(72), early_stopping_patience=patience)
            with closing(Journal(folder.events)) as journal:
                calibration.calibrate(RunSpec.from_json(folder.spec.read_bytes()), folder, journal, lambda: False)
            counts += [usage["validation_count"] for usage in events_of(folder, "usage")]

        assert counts == [1, 0]
        assert held == [True, False, False, False, False]


def _noted(models: weakref.WeakSet[Any], model: Any) -> Any:
    models.add(model)
    return model


class TestSample:
    """Rows whose steps are measured."""

    def test_holds_batches_of_every_width(self) -> None:
        """The widest comes first, twice; the narrowest is among the next."""
        lengths = random.Random(0).sample(range(10, 400), 200)

        widths = _widths([_example(length) for length in lengths], 8)

        assert widths[0] == widths[1] == max(lengths)
        assert min(widths) == widths[3] == sorted(lengths)[7]
        assert len(set(widths)) == 9

    def test_small_sets_are_taken_whole(self) -> None:
        """Every step has all rows where there are fewer than a batch holds."""
        assert [len(row.input_ids) for row in sample([_example(5), _example(9)], 8)] == [9, 5] * 10


def _example(length: int) -> Example:
    return Example(tuple(range(length)), tuple(range(length)), 1)


def _widths(examples: list[Example], size: int) -> list[int]:
    lengths = [len(row.input_ids) for row in sample(examples, size)]
    return [max(lengths[i : i + size]) for i in range(0, len(lengths), size)]
