"""Keeps the adapter at a few steps on the way, as files that are served, to be evaluated after the training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from trainer_svc.domain.run import RunFolder
from trainer_svc.engine import process_group


class Milestones(TrainerCallback):
    """Saves the adapter after each of `steps`. Nothing is drawn or changed, so the training goes on as without.

    A run that is taken up again takes a step that it had taken before with the same outcome: what is there is kept.
    """

    def __init__(self, folder: RunFolder, steps: tuple[int, ...], save: Callable[[Any, Path], None]) -> None:
        self._folder, self._steps, self._save = folder, frozenset(steps), save  # `save` takes a PEFT model

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Called after each step, in every process."""
        place = self._folder.milestone(state.global_step)
        if state.global_step in self._steps and process_group.is_first() and not place.is_dir():
            self._save(model, place)
