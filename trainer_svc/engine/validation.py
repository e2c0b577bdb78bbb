"""Validation on the way: the adapter as it is served answers rows set aside; the best one is kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from shared.files import replace_folder, restore_folder, write_atomic
from trainer_svc.domain.early_stopping import best_step, is_over, validation_interval
from trainer_svc.domain.job import Progress
from trainer_svc.domain.run import Cancelled, RunFolder
from trainer_svc.engine import process_group
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.usage import peak_bytes

_SCORE = "validation_score"
"""In the history of the library's state, which each checkpoint holds: what was measured is measured once."""
_RECORD = "validation.json"


class StoppedEarly(Exception):  # what happened, as Cancelled
    """The run had ended already when it was taken up again: only its end was lost."""


class Validation(TrainerCallback):
    """Validates, keeps the best adapter in `RunFolder.best`, and ends training after `patience` without a better one.

    transformers' own early stopping forgets on resumption that it had stopped, and trains on; its evaluation measures
    the model that is trained, and here that may be quantised.
    """

    def __init__(
        self, folder: RunFolder, patience: int, journal: Journal, *,
        save: Callable[[Any, Path], None], measure: Callable[[Path], float],
    ) -> None:  # fmt: skip  # `save` takes a PEFT model
        self._folder, self._patience, self._journal = folder, patience, journal
        self._save, self._measure = save, measure
        self.cancelled = False

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Makes up for a validation in the midst of which the run was asked to stop, or died."""
        if process_group.is_first():
            restore_folder(self._folder.best, self._folder.former_best)
        if state.global_step and _is_due(state) and state.global_step not in scores_of(state):
            self._validate(state, model)
            if process_group.is_first():
                loss = next(entry["loss"] for entry in reversed(state.log_history) if "loss" in entry)
                self._journal.progress(progress_of(state, loss))
        if is_over(scores_of(state), self._patience):
            raise StoppedEarly

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Before the checkpoint of the step is written, so that this holds the score."""
        if not _is_due(state):
            return
        try:
            self._validate(state, model)
        except Cancelled:  # the step is kept, without a score
            self.cancelled = True
        if self.cancelled or is_over(scores_of(state), self._patience):
            control.should_training_stop = True
        control.should_save = control.should_log = True

    def _validate(self, state: Any, model: Any) -> None:
        step, score = state.global_step, process_group.from_first(lambda: self._measured(model))
        state.log_history.append({"step": step, _SCORE: score})
        if best_step(scores_of(state)) == step and process_group.is_first():
            write_atomic(self._folder.candidate / _RECORD, json.dumps({"step": step, _SCORE: score}).encode())
            replace_folder(self._folder.candidate, self._folder.best, self._folder.former_best)

    def _measured(self, model: Any) -> float:  # a PEFT model
        shutil.rmtree(self._folder.candidate, ignore_errors=True)
        self._save(model, self._folder.candidate)
        return self._measure(self._folder.candidate)


def scores_of(state: Any) -> dict[int, float]:  # a TrainerState
    """Scores of the validations so far, by step, in order."""
    return {entry["step"]: entry[_SCORE] for entry in state.log_history if _SCORE in entry}


def progress_of(state: Any, train_loss: float) -> Progress:  # as above
    """Numbers of the loop, those of validations included."""
    scores = scores_of(state)
    return Progress(
        step=state.global_step,
        step_count=state.max_steps,
        train_loss=train_loss,
        epoch=state.epoch or 0.0,
        peak_memory_bytes=peak_bytes(),
        validation_score=list(scores.values())[-1] if scores else None,
        best_step=best_step(scores) if scores else None,
    )


def record_of(adapter: Path) -> dict[str, int | float]:
    """Step and score of a validated adapter, by the manifest's names; nothing of another."""
    path = adapter / _RECORD
    if not path.is_file():
        return {}
    body = json.loads(path.read_bytes())
    return {"best_step": body["step"], _SCORE: body[_SCORE]}


def _is_due(state: Any) -> bool:  # as above
    step, last = state.global_step, state.max_steps
    return bool(step == last or step % validation_interval(last) == 0)
