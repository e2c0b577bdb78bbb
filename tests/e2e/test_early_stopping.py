"""Early stopping on the task metric, on a tiny model: what is kept and published, through kills and stops."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from shared.adapter.package import WEIGHTS_NAME, read_package
from shared.adapter.validate import validate_adapter
from shared.base_model import BaseModel
from shared.digest import sha256_file
from shared.errors import InvalidInput
from tests.e2e.training_sample import events_of, rows, run_here, write_run
from trainer_svc.domain.job import JobSpec
from trainer_svc.domain.measure import Measure
from trainer_svc.domain.run import Cancelled, Preset, RunFolder, RunSpec, TrainingMode
from trainer_svc.engine import served, training_stage
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.preparation import Prepared, prepare
from trainer_svc.engine.validation import Validation, record_of

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
_ROWS, _LEARNED, _STEPS = 72, 56, 7
"""Of an epoch: 16 rows are set aside, 8 are learned a step; steps 2, 4, 6 and the last are validated."""


@pytest.fixture
def write(base: BaseModel, tmp_path: Path) -> Callable[..., RunFolder]:
    """Writes the folder of a run of one epoch that stops early."""

    def one(name: str, **settings: Any) -> RunFolder:
        defaults = {"train": rows(_ROWS), "epoch_count": 1, "early_stopping_patience": 10}
        return write_run(tmp_path / name, base, **{**defaults, **settings})

    return one


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has validations measure given values in turn."""

    def give(*values: float) -> None:
        left: Iterator[float] = iter(values)
        monkeypatch.setattr(
            training_stage, "metrics_of", lambda _: SimpleNamespace(task_metric=Measure(next(left, 0.0), 0.0, 1.0))
        )

    return give


def _weights(folder: RunFolder) -> str:
    return sha256_file(folder.package / WEIGHTS_NAME)


def _steps(folder: RunFolder) -> list[int]:
    return [event["step"] for event in events_of(folder, "progress")]


def _prepared(folder: RunFolder) -> Prepared:
    with closing(Journal(folder.events)) as journal:
        return prepare(RunSpec.from_json(folder.spec.read_bytes()), folder, journal)


class RisingValidation(Validation):
    """Scores adapters by how much they change: later ones are better, on every machine."""

    def _validate(self, state: Any, model: Any) -> None:
        answered = self._measure
        self._measure = lambda folder: answered(folder) * 0 + _size(folder)
        try:
            super()._validate(state, model)
        finally:
            self._measure = answered


def _size(folder: Path) -> float:
    weights = load_file(folder / WEIGHTS_NAME)
    return sum(float(weight.float().norm()) for name, weight in weights.items() if "lora_B" in name)


_MORTAL = """
import os, signal, sys
from tests.e2e.test_early_stopping import RisingValidation
from trainer_svc import worker
from trainer_svc.engine import training_stage, {module} as place

training_stage.Validation = RisingValidation

whole, left = place.{name}, [{count}]

def mortal(*args, **kwargs):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(*args, **kwargs)

place.{name} = mortal
sys.exit(worker.main(sys.argv[1:]))
"""


def _kill_at(folder: RunFolder, module: str, name: str, count: int) -> None:
    """Starts the run in a process that dies of SIGKILL when it calls a function for that many times."""
    code = _MORTAL.format(module=module, name=name, count=count)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder.path)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]


class TestResume:
    """Attempts that follow a death or a stop."""

    def test_a_killed_run_ends_with_the_same_bytes(
        self, write: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Kill -9 in a validation, while its adapter replaces the best one, and before its checkpoint is whole."""
        monkeypatch.setattr(training_stage, "Validation", RisingValidation)
        whole, killed = write("whole"), write("killed")
        run_here(whole)
        bests = [event["best_step"] for event in events_of(whole, "progress") if "best_step" in event]
        assert len(set(bests)) > 2, "a best one must follow a best one for this to tell anything"

        _kill_at(killed, "training_stage", "score_rows", 2)
        _kill_at(killed, "validation", "replace_folder", 2)
        assert killed.best.exists()
        _kill_at(killed, "training", "seal", 1)
        run_here(killed)

        assert _weights(killed) == _weights(whole)
        assert record_of(killed.adapter) == record_of(whole.adapter)
        assert events_of(killed, "checkpoint")[-1] == events_of(whole, "checkpoint")[-1]

    def test_a_run_that_is_stopped_in_a_validation_makes_up_for_it(self, write: Callable[..., RunFolder]) -> None:
        """Its step is kept: no step is taken again, and the bytes are those of a run without a stop."""
        whole, stopped = write("whole"), write("stopped")
        run_here(whole)
        with pytest.raises(Cancelled):
            run_here(stopped, stopped.candidate.exists)
        assert [event["step"] for event in events_of(stopped, "checkpoint")] == [2]

        run_here(stopped)

        assert "validation_score" not in events_of(stopped, "progress")[0]
        assert _steps(stopped) == sorted(_steps(stopped))
        assert _weights(stopped) == _weights(whole)
        told, expected = (
            {event["step"]: event.get("validation_score") for event in events_of(run, "progress")}
            for run in (stopped, whole)
        )
        assert told == expected

    def test_a_run_that_had_stopped_early_does_not_train_on(
        self, write: Callable[..., RunFolder], scored: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A death between its last step and its adapter costs no step, although a later one might score higher.

        Nor does one while the best adapter is replaced: the one before is put back.
        """
        folder = write("late", early_stopping_patience=1)
        scored(0.5, 0.4)
        with monkeypatch.context() as broken:
            broken.setattr(training_stage, "publish_folder", _fail)
            with pytest.raises(OSError, match="gone"):
                run_here(folder)
        steps = _steps(folder)
        folder.best.rename(folder.former_best)

        scored(1.0)
        run_here(folder)

        assert _steps(folder) == steps
        assert record_of(folder.adapter) == {"best_step": 2, "validation_score": 0.5}


def _fail(*_: object) -> None:
    raise OSError("gone")


class TestStop:
    """When a run ends, and with which adapter."""

    def test_publishes_the_adapter_that_answered_best(
        self, write: Callable[..., RunFolder], scored: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of equals the earliest; two validations after it end the run; events, manifest and usage say so."""
        folder, saved = write("stops", epoch_count=2, early_stopping_patience=2), list[str]()
        scored(0.25, 0.5, 0.5, 0.375)
        monkeypatch.setattr(served, "load_served", _spy(saved, served.load_served))

        run_here(folder)

        assert saved[-1] == saved[1] == _weights(folder) != saved[2]
        last = events_of(folder, "progress")[-1]
        assert (last["step"], last["step_count"]) == (8, 2 * _STEPS)
        assert (last["validation_score"], last["best_step"]) == (0.375, 4)
        training = read_package(folder.package).training
        assert (training["best_step"], training["validation_row_count"]) == (4, 16)
        (usage,) = events_of(folder, "usage")
        assert usage["answer_tokens"] >= 9 + 4 * 16, "each answer ends with the stop token"
        assert (usage["step_count"], usage["scored_count"], usage["validation_count"]) == (8, 2 * 9, 4)
        lengths = [len(example.input_ids) for example in _prepared(folder).examples]
        assert usage["trained_tokens"] == sum(lengths) * 8 // _STEPS

    @pytest.mark.parametrize("mode", list(TrainingMode))
    def test_validation_leaves_training_as_it_is(
        self, write: Callable[..., RunFolder], scored: Callable[..., None], mode: TrainingMode
    ) -> None:
        """The last step's adapter is that of a run over the same rows without: no weight and no random number moved."""
        validated = write("validated", mode=mode)
        scored(*(step / 10 for step in range(10)))
        run_here(validated)
        aside = {row.row for row in _prepared(validated).validation}
        learned = [row for row in rows(_ROWS) if row.row not in aside]
        plain = write("plain", mode=mode, train=learned, early_stopping_patience=0)

        run_here(plain)

        assert len(learned) == _LEARNED
        assert _weights(validated) == _weights(plain)
        assert "best_step" not in read_package(plain.package).training
        assert _steps(plain) == [1, 5, _STEPS], "the last step is told, or it would look like one that stopped early"

    def test_measuring_draws_no_random_number(
        self, write: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither of torch nor of the libraries beside it."""
        states: list[tuple[object, ...]] = []
        inner = Validation._validate

        def watched(self: Any, state: Any, model: Any) -> None:
            before = _random_state()
            inner(self, state, model)
            states.append((before, _random_state()))

        monkeypatch.setattr(Validation, "_validate", watched)
        run_here(write("drawn"))

        assert states
        assert all(before == after for before, after in states)

    def test_the_manifest_says_how_to_make_the_same_bytes_again(
        self, write: Callable[..., RunFolder], base: BaseModel
    ) -> None:
        """Of a run by a preset, too: what the preset chose is in it."""
        first = write("first", preset=Preset.BEST, early_stopping_patience=None, seed=3)
        run_here(first)
        training = read_package(first.package).training

        again = write("again", **{setting.name: training[setting.name] for setting in dataclasses.fields(JobSpec)})
        run_here(again)

        assert _weights(again) == _weights(first)
        assert training["preset"] == "best"
        assert training["early_stopping_patience"] > 0
        validate_adapter(first.package, read_package(first.package), base, max_rank=64)


def _spy(saved: list[str], load: Callable[[Any, Path], Any]) -> Callable[[Any, Path], Any]:
    def noted(model: Any, folder: Path) -> Any:
        saved.append(sha256_file(folder / WEIGHTS_NAME))
        return load(model, folder)

    return noted


def _random_state() -> tuple[object, ...]:
    return torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())  # noqa: NPY002  # the one that libraries draw from


class TestRows:
    """Which rows are set aside."""

    def test_near_duplicates_stay_on_one_side(self, write: Callable[..., RunFolder]) -> None:
        """Pairs that differ in case alone are learned or set aside together; the same seed draws the same rows."""
        pairs = [row for one in rows(90) for row in (one, dataclasses.replace(one, row=one.row + 500))]
        pairs = [dataclasses.replace(row, input=row.input.upper()) if row.row >= 500 else row for row in pairs]

        first, same, other = (
            {row.row for row in _prepared(write(name, train=pairs, seed=seed)).validation}
            for name, seed in (("first", 0), ("same", 0), ("other", 1))
        )

        assert len(first) == 18
        assert {number % 500 for number in first if number >= 500} == {number for number in first if number < 500}
        assert first == same != other

    @pytest.mark.parametrize("count", [63, 200])
    def test_too_few_end_the_job_or_leave_its_preset_off(self, write: Callable[..., RunFolder], count: int) -> None:
        """A patience that the job sets is refused; that of a preset is told as 0. Many rows may be all alike."""
        train = rows(63) if count == 63 else [dataclasses.replace(row, input="Rome " + "x" * 40) for row in rows(count)]
        asked, preset = (
            write(name, train=train, preset=Preset.BEST, early_stopping_patience=patience)
            for name, patience in (("asked", 3), ("preset", None))
        )

        with pytest.raises(InvalidInput) as caught:
            _prepared(asked)
        ready = _prepared(preset)

        assert caught.value.violations[0].path == "job.spec.early_stopping_patience"
        assert str(count) in str(caught.value)
        assert (ready.validation, len(ready.examples)) == ([], count)
        assert events_of(preset, "settings")[-1]["early_stopping_patience"] == 0
