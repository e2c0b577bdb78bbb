"""Runs of one epoch that stop early."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shared.base_model import BaseModel
from tests.e2e.training_sample import rows, write_run
from trainer_svc.domain.measure import Measure
from trainer_svc.domain.run import RunFolder
from trainer_svc.engine import training_stage

ROWS, LEARNED, STEPS = 72, 56, 7
"""Of an epoch: 16 rows are set aside, 8 are learned a step; steps 2, 4, 6 and the last are validated."""


@pytest.fixture
def write(base: BaseModel, tmp_path: Path) -> Callable[..., RunFolder]:
    """Writes the folder of a run of one epoch that stops early."""

    def one(name: str, **settings: Any) -> RunFolder:
        defaults = {"train": rows(ROWS), "epoch_count": 1, "early_stopping_patience": 10}
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
