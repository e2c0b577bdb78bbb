"""Fills in the settings that a job leaves open, each with its reason."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from trainer_svc.domain.job import JobSpec
from trainer_svc.domain.run import Initialization, RunSpec

RANKS = (4, 8, 16, 32, 64)
DEFAULT_RANK = 16
"""Ample for 1,000 rows on any base of half a billion parameters or more (Schulman et al. 2025)."""
DEFAULT_BATCH_SIZE = 8
_ALPHA_OVER_RANK = 2.0
_RSLORA_ALPHA = 8.0
"""The same scaling, 2, at the default rank; PEFT's own default, 8 as well, is the usual one."""
_SEEN_EXAMPLES = 10_000
"""Examples a run sees, within the limits below: the shipped base needs many passes over small sets and gains from
several over large ones; a large base needs fewer, and says so in its job."""
_EPOCHS = (3, 10)
WARMUP_RATIO = 0.03


@dataclass(frozen=True)
class TrainingPlan:
    """Settings of a run, complete."""

    rank: int
    alpha: float
    learning_rate: float
    epoch_count: int
    batch_size: int
    step_count: int
    use_rslora: bool = False
    loraplus_ratio: float = 1.0
    initialization: Initialization = Initialization.KAIMING


def plan_training(spec: RunSpec | JobSpec, *, train_count: int, hidden_size: int) -> TrainingPlan:
    """The plan for `train_count` rows on a base of width `hidden_size`; what the job sets is kept."""
    rank = spec.rank or DEFAULT_RANK
    batch = spec.batch_size or DEFAULT_BATCH_SIZE
    least, most = _EPOCHS
    epochs = spec.epoch_count or min(most, max(least, round(_SEEN_EXAMPLES / train_count)))
    return TrainingPlan(
        rank=rank,
        alpha=spec.alpha or (_RSLORA_ALPHA if spec.use_rslora else _ALPHA_OVER_RANK * rank),
        learning_rate=spec.learning_rate or learning_rate(hidden_size),
        epoch_count=epochs,
        batch_size=batch,
        step_count=math.ceil(train_count / batch) * epochs,
        use_rslora=spec.use_rslora,
        loraplus_ratio=spec.loraplus_ratio or 1.0,
        initialization=spec.initialization,
    )


def learning_rate(hidden_size: int) -> float:
    """Peak rate for LoRA on a Llama-shaped base: `5e-5 * 10 * (2000 / hidden) ** 0.781`.

    Source: tinker-cookbook, hyperparam_utils.py ("LoRA Without Regret", Schulman et al. 2025): ten times the rate of
    full fine-tuning, falling with the width. 2.5e-3 at 256, 4.9e-4 at 2,048.

    Holds for the shipped base (500 generated invoices, rank 16, 4 passes, holdout field F1, 2 cores, 2026-11): 0.905 at
    1.2e-3, 0.924 at 2.5e-3; on a harder variant 0.874 at 2.5e-3, 0.859 at 6e-3, 0.827 at 4e-3 with rank 64.
    """
    return 5e-5 * 10 * math.pow(2000 / hidden_size, 0.781)


def settings(plan: TrainingPlan, spec: RunSpec) -> dict[str, str | int | float]:
    """The plan as the manifest and the job show it."""
    start = {"base_revision_digest": spec.start_digest} if spec.start_digest else {}
    use = {"threads": spec.threads, "processes": spec.processes}
    return {"mode": spec.mode.value, "seed": spec.seed, **use, **dataclasses.asdict(plan), **start}
