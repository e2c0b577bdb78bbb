"""Early stopping on a tiny model: when a run ends, and with which adapter."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from shared.adapter.package import WEIGHTS_NAME, read_package
from shared.adapter.validate import validate_adapter
from shared.base_model import BaseModel
from shared.digest import sha256_file
from tests.e2e.early_stopping.conftest import LEARNED, ROWS, STEPS
from tests.e2e.early_stopping.outcome import prepared, steps_of, weights_of
from tests.e2e.training_sample import events_of, rows, run_here
from trainer_svc.domain.job import JobSpec
from trainer_svc.domain.run import Preset, RunFolder, TrainingMode
from trainer_svc.engine import served
from trainer_svc.engine.validation import Validation

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


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

        assert saved[-1] == saved[1] == weights_of(folder) != saved[2]
        last = events_of(folder, "progress")[-1]
        assert (last["step"], last["step_count"]) == (8, 2 * STEPS)
        assert (last["validation_score"], last["best_step"]) == (0.375, 4)
        training = read_package(folder.package).training
        assert (training["best_step"], training["validation_row_count"]) == (4, 16)
        (usage,) = events_of(folder, "usage")
        assert usage["answer_tokens"] >= 9 + 4 * 16, "each answer ends with the stop token"
        assert (usage["step_count"], usage["scored_count"], usage["validation_count"]) == (8, 2 * 9, 4)
        lengths = [len(example.input_ids) for example in prepared(folder).examples]
        assert usage["trained_tokens"] == sum(lengths) * 8 // STEPS

    @pytest.mark.parametrize("mode", list(TrainingMode))
    def test_validation_leaves_training_as_it_is(
        self, write: Callable[..., RunFolder], scored: Callable[..., None], mode: TrainingMode
    ) -> None:
        """The last step's adapter is that of a run over the same rows without: no weight and no random number moved."""
        validated = write("validated", mode=mode)
        scored(*(step / 10 for step in range(10)))
        run_here(validated)
        aside = {row.row for row in prepared(validated).validation}
        learned = [row for row in rows(ROWS) if row.row not in aside]
        plain = write("plain", mode=mode, train=learned, early_stopping_patience=0)

        run_here(plain)

        assert len(learned) == LEARNED
        assert weights_of(validated) == weights_of(plain)
        assert "best_step" not in read_package(plain.package).training
        assert steps_of(plain) == [1, 5, STEPS], "the last step is told, or it would look like one that stopped early"

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

        assert weights_of(again) == weights_of(first)
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
