"""Runs in processes that are killed in the middle, with validations that come out the same on every machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from shared.adapter.package import WEIGHTS_NAME
from trainer_svc.domain.run import RunFolder
from trainer_svc.engine.validation import Validation


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
from tests.e2e.early_stopping.mortal import RisingValidation
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


def kill_at(folder: RunFolder, module: str, name: str, count: int) -> None:
    """Starts the run in a process that dies of SIGKILL when it calls a function for that many times."""
    code = _MORTAL.format(module=module, name=name, count=count)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder.path)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
