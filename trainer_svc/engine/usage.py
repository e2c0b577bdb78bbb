"""Measures what a run takes, for estimates of later ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from trainer_svc.engine.base import best_device

_STATUS = Path("/proc/self/status")


class Stopwatch:
    """Time until training, in its steps, and between and after them; from its creation on."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._began = self._ended = self._validated = 0.0

    @contextmanager
    def training(self) -> Iterator[None]:
        """Around the steps."""
        self._began = time.monotonic()
        yield
        self._ended = time.monotonic()

    @contextmanager
    def validating(self) -> Iterator[None]:
        """Around what is measured between steps."""
        begin = time.monotonic()
        yield
        self._validated += time.monotonic() - begin

    @property
    def has_trained(self) -> bool:
        """Whether the steps were taken to their end, here."""
        return self._ended > 0.0

    def seconds(self) -> dict[str, float]:
        """The three parts until now, named as in `Usage`."""
        return {
            "startup_seconds": self._began - self._start,
            "training_seconds": self._ended - self._began - self._validated,
            "evaluation_seconds": time.monotonic() - self._ended + self._validated,
        }


def device_name() -> str:
    """`cpu`, or the GPU's name."""
    return "cpu" if best_device().type == "cpu" else torch.cuda.get_device_name()


def peak_bytes() -> int:
    """Most memory held until now: on the GPU where there is one, else of this process."""
    if best_device().type != "cpu":
        return int(torch.cuda.max_memory_reserved())
    # Not getrusage: its peak survives exec, so that it may be the service's.
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
