"""Runs that were measured, and work to estimate from them."""

from __future__ import annotations

import dataclasses
from typing import Any

from trainer_svc.domain.estimate import Usage, Work
from trainer_svc.domain.pace import StepSums
from trainer_svc.domain.recipe import RECIPE_VERSION
from trainer_svc.domain.run import TrainingMode

GIB = 1 << 30
RUN = Usage(
    base_model_digest="sha256:0", mode=TrainingMode.LORA, rank=16, threads=2, device="cpu", trained_tokens=100_000,
    batch_tokens=1_000, scored_count=50, startup_seconds=10.0, training_seconds=100.0, evaluation_seconds=50.0,
    peak_bytes=GIB, step_count=1, padded_tokens=100_000, scoring_seconds=50.0, answer_tokens=1_000,
    recipe_version=RECIPE_VERSION,
)  # fmt: skip
"""Of a single step, which tells no pace; all of its evaluation was the loss on its rows."""
WORK = Work(
    epoch_tokens=50_000, epoch_count=4, step_count=80, batch_tokens=1_000, scored_count=100, padded_tokens=200_000,
    answer_tokens=2_000,
)  # fmt: skip


def measured(**changes: Any) -> Usage:
    """A run whose steps took 0.1 s and 2 ms a token, its 50 answers 20 s, its loss 5 s, the rest 3 s."""
    widths = (400, 100, 250)
    steps = [(width, 0.1 + 0.002 * width) for width in widths]
    told = {
        "steps": StepSums.of(steps), "step_count": len(widths), "padded_tokens": sum(widths),
        "training_seconds": sum(seconds for _, seconds in steps), "evaluation_seconds": 28.0,
        "answering_seconds": 20.0, "scoring_seconds": 5.0, "answer_tokens": 1_000,
    }  # fmt: skip
    return run_with(**{**told, **changes})


def run_with(**changes: Any) -> Usage:
    """`RUN`, changed."""
    return dataclasses.replace(RUN, **changes)
