"""Fills in the settings that a job leaves open, each with its reason."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from trainer_svc.domain.early_stopping import validation_count
from trainer_svc.domain.job import JobSpec
from trainer_svc.domain.milestone import DEFAULT_MILESTONES, milestone_steps
from trainer_svc.domain.preset import RECIPES
from trainer_svc.domain.run import Initialization, RunSpec

RANKS = (4, 8, 16, 32, 64)
DEFAULT_BATCH_SIZE = 8
_ALPHA_OVER_RANK = 2.0
_RSLORA_ALPHA = 8.0
"""The same scaling, 2, at the default rank; PEFT's own default, 8 as well, is the usual one."""
_WARMUP_RATIO = 0.03
_LLAMA_EXPONENT = 0.781
_EXPONENTS = {"llama": _LLAMA_EXPONENT, "qwen": 0.0775}
"""How fast the learning rate falls with the width, by what an architecture's name begins with; see `learning_rate`."""


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
    early_stopping_patience: int = 0
    """0: off; there are rows to validate on otherwise."""
    validation_row_count: int = 0
    evaluated_checkpoint_count: int = 1

    @property
    def milestone_steps(self) -> tuple[int, ...]:
        """Steps after which the adapter is kept and evaluated; the last is that of a run that is not stopped."""
        return milestone_steps(self.step_count, self.evaluated_checkpoint_count)

    @property
    def warmup_step_count(self) -> int:
        """Steps in which the rate rises from 0, at which the first of them learns nothing: never the only one."""
        return min(math.ceil(_WARMUP_RATIO * self.step_count), self.step_count - 1)

    @property
    def validation_count(self) -> int:
        """Validations of a run that is not stopped."""
        return validation_count(self.step_count) if self.validation_row_count else 0

    @property
    def validation_answer_count(self) -> int:
        """Rows answered on the way by a run that is not stopped."""
        return self.validation_row_count * self.validation_count


def patience_of(spec: RunSpec | JobSpec) -> int:
    """What the job sets, or its preset; 0: off."""
    own = spec.early_stopping_patience
    return own if own is not None else RECIPES[spec.preset].early_stopping_patience


def plan_training(
    spec: RunSpec | JobSpec, *, train_count: int, hidden_size: int, model_type: str, validation_row_count: int = 0
) -> TrainingPlan:
    """The plan for `train_count` rows, and others to validate on, on a base of this width and architecture.

    What the job sets is kept; the rest is its preset's, and the learning rate the base's.
    """
    recipe = RECIPES[spec.preset]
    rank = spec.rank or recipe.rank
    batch = spec.batch_size or DEFAULT_BATCH_SIZE
    least, most = recipe.epochs
    epochs = spec.epoch_count or min(most, max(least, round(recipe.seen_examples / train_count)))
    step_count = math.ceil(train_count / batch) * epochs
    return TrainingPlan(
        rank=rank,
        alpha=spec.alpha or (_RSLORA_ALPHA if spec.use_rslora else _ALPHA_OVER_RANK * rank),
        learning_rate=spec.learning_rate or learning_rate(hidden_size, model_type),
        epoch_count=epochs,
        batch_size=batch,
        step_count=step_count,
        use_rslora=spec.use_rslora,
        loraplus_ratio=spec.loraplus_ratio or recipe.loraplus_ratio,
        initialization=spec.initialization,
        early_stopping_patience=patience_of(spec) if validation_row_count else 0,
        validation_row_count=validation_row_count,
        evaluated_checkpoint_count=min(spec.evaluated_checkpoint_count or DEFAULT_MILESTONES, step_count),
    )


def learning_rate(hidden_size: int, model_type: str) -> float:
    """Peak rate for LoRA on a base of this width and architecture: `5e-5 * 10 * (2000 / hidden) ** exponent`.

    The exponent is 0.781 for Llama and 0.0775 for Qwen, of any generation: 2.5e-3 for a Llama of width 256, 4.9e-4 for
    one of 2,048, 2.9e-4 for one of 4,096; 4.9e-4 for a Qwen of 2,560. Others get Llama's, the lower rate above a width
    of 2,000: nobody has published theirs.

    Source: tinker-cookbook, hyperparam_utils.py ("LoRA Without Regret", Schulman et al. 2025): ten times the rate of
    full fine-tuning, falling with the width. Fifteen times for runs of fewer than 100 steps, as they advise, is not
    done: their runs were of large bases, and the preset FAST was measured in runs of 96 steps without it.

    Holds for the shipped base, a Llama (500 generated invoices, rank 16, 4 passes, holdout field F1, 2 cores, 2026-11):
    0.905 at 1.2e-3, 0.924 at 2.5e-3; on a harder variant 0.874 at 2.5e-3, 0.859 at 6e-3, 0.827 at 4e-3 with rank 64.
    """
    exponent = next((own for family, own in _EXPONENTS.items() if model_type.startswith(family)), _LLAMA_EXPONENT)
    return 5e-5 * 10 * math.pow(2000 / hidden_size, exponent)


def settings(plan: TrainingPlan, spec: RunSpec) -> dict[str, str | int | float]:
    """The plan as the manifest and the job show it."""
    start = {"base_revision_digest": spec.start_digest} if spec.start_digest else {}
    asked = {"mode": spec.mode.value, "preset": spec.preset.value, "seed": spec.seed}
    use = {"threads": spec.threads, "processes": spec.processes}
    return {**asked, **use, **dataclasses.asdict(plan), **start}
