"""Measures what a run takes, for estimates of later ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch

from trainer_svc.domain.batch import width_of
from trainer_svc.domain.recipe import RECIPE_VERSION
from trainer_svc.engine.base import best_device
from trainer_svc.engine.preparation import Prepared
from trainer_svc.engine.step_gauge import StepGauge

_STATUS = Path("/proc/self/status")


class Stopwatch:
    """Looks on at a run, from the start of its process to its end."""

    def __init__(self) -> None:
        # Importing torch and its kin takes longer than some trainings, and every run does it.
        self._start = time.monotonic() - (time.time() - psutil.Process().create_time())
        self._answering_seconds = self._scoring_seconds = self._validating_seconds = self._forgetting_seconds = 0.0
        self._answer_tokens = self._scored_count = self._validation_count = self._checkpoint_count = 0
        self._proving_seconds = 0.0
        self._free_bytes = None if best_device().type == "cpu" else torch.cuda.mem_get_info()[0]
        self.gauge = StepGauge()
        """To be told of the training."""

    def answered(self, seconds: float, tokens: int) -> None:
        """After rows were answered."""
        self._answering_seconds += seconds
        self._answer_tokens += tokens

    @contextmanager
    def validating(self) -> Iterator[None]:
        """Around a validation, answers included."""
        began = time.monotonic()
        yield
        self._validating_seconds += time.monotonic() - began
        self._validation_count += 1

    @contextmanager
    def scoring(self, row_count: int) -> Iterator[None]:
        """Around the loss on so many held-out rows."""
        began = time.monotonic()
        yield
        self._scoring_seconds += time.monotonic() - began
        self._scored_count += row_count

    @contextmanager
    def measuring_forgetting(self) -> Iterator[None]:
        """Around what one state of the adapter did to the base."""
        began = time.monotonic()
        yield
        self._forgetting_seconds += time.monotonic() - began
        self._checkpoint_count += 1

    def proved(self, seconds: float) -> None:
        """After it was shown that the adapter can be served."""
        self._proving_seconds += seconds

    def usage(self, ready: Prepared, *, trained_tokens: int) -> dict[str, Any]:  # as its class
        """The fields of `trainer_svc.domain.estimate.Usage`, now that the run is at its end."""
        widest = width_of(max(len(example.input_ids) for example in ready.examples))
        steps = self.gauge.usage
        return {
            "base_model_digest": ready.base.digest,
            "mode": ready.spec.mode.value,
            "rank": ready.plan.rank,
            "threads": ready.spec.threads,
            "device": device_name(),
            "trained_tokens": trained_tokens,
            "batch_tokens": min(ready.plan.batch_size, len(ready.examples)) * widest,
            "scored_count": self._scored_count,
            "startup_seconds": self.gauge.began - self._start,
            **steps,
            "training_seconds": steps["training_seconds"] - self._validating_seconds,
            "evaluation_seconds": time.monotonic() - self.gauge.ended + self._validating_seconds,
            "answering_seconds": self._answering_seconds,
            "scoring_seconds": self._scoring_seconds,
            "forgetting_seconds": self._forgetting_seconds,
            "checkpoint_count": self._checkpoint_count,
            "proving_seconds": self._proving_seconds,
            "answer_tokens": self._answer_tokens,
            "validation_count": self._validation_count,
            "servability_proof": ready.spec.servability_proof.value,
            "free_bytes": self._free_bytes,
            "peak_bytes": peak_bytes(),
            "recipe_version": RECIPE_VERSION,
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
