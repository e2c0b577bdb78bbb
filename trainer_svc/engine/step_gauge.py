"""Measures the optimizer steps of a training: how wide each is, and how long it takes."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import torch
from transformers import TrainerCallback

from trainer_svc.domain.pace import StepSums
from trainer_svc.engine.base import best_device


class StepGauge(TrainerCallback):
    """Counts the tokens that the model is trained on, padding included, by looking on at each forward pass.

    A training that goes on from a checkpoint is not measured: it tells nothing of how long a whole one takes.
    """

    def __init__(self) -> None:
        self.began = self.ended = 0.0
        self.steps: list[tuple[int, float]] = []
        self._tokens, self._step_began = 0, 0.0

    @property
    def has_measured(self) -> bool:
        """Whether a whole training was seen to its end."""
        return self.began > 0 and self.ended > 0

    @property
    def usage(self) -> dict[str, Any]:  # numbers, and sums of them
        """What `trainer_svc.domain.estimate.Usage` says of the steps; the first one also warms up."""
        later = StepSums.of(self.steps[1:])
        return {
            "training_seconds": self.ended - self.began,
            "step_count": len(self.steps),
            "padded_tokens": sum(tokens for tokens, _ in self.steps),
            "steps": dataclasses.asdict(later) if later is not None else None,
        }

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Looks on from here, at a training that begins with its first step."""
        if state.global_step == 0:
            model.get_base_model().model.register_forward_pre_hook(self._count, with_kwargs=True)
            self.began = time.monotonic()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called before the step's first forward pass."""
        self._tokens, self._step_began = 0, _now()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called after the step's update."""
        if self.began:
            self.steps.append((self._tokens, _now() - self._step_began))

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called once, also when the training is stopped."""
        if self.began:
            self.ended = _now()

    def _count(self, module: Any, args: Any, kwargs: dict[str, torch.Tensor]) -> None:  # of the base's layers
        if module.training:
            self._tokens += kwargs["input_ids"].numel()


def _now() -> float:
    """When all that was asked of the GPU is done: without waiting, a step would end before it has begun."""
    if best_device().type != "cpu":
        torch.cuda.synchronize()
    return time.monotonic()
