"""What a run tells its service while it runs: one JSON object a line."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from trainer_svc.domain.evaluation import CheckpointEvaluation
from trainer_svc.domain.job import Progress
from trainer_svc.domain.run import Phase


class Journal:
    """Appends events to a file. A line that was torn by a crash is ended first, so that the next one is whole."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        if self._file.tell() and not path.read_bytes().endswith(b"\n"):
            self._file.write(b"\n")

    def phase(self, phase: Phase) -> None:
        """A new step of the run begins."""
        self._write({"type": "phase", "phase": phase.value})

    def settings(self, values: dict[str, str | int | float]) -> None:
        """The settings as filled in."""
        self._write({"type": "settings", **values})

    def progress(self, progress: Progress) -> None:
        """Numbers of the training loop; what was not measured is left out."""
        told = {key: value for key, value in dataclasses.asdict(progress).items() if value is not None}
        self._write({"type": "progress", **told})

    def checkpoint(self, step: int) -> None:
        """State from which a new attempt can go on is on disk."""
        self._write({"type": "checkpoint", "step": step})

    def evaluated(self, checkpoint: CheckpointEvaluation) -> None:
        """A state of the adapter was evaluated; the whole of it comes with the run's result."""
        self._write(
            {
                "type": "evaluated",
                "step": checkpoint.step,
                "row_count": checkpoint.constrained.row_count,
                "task_metric": checkpoint.constrained.task_metric.value,
                "exact_match": checkpoint.constrained.exact_match.value,
                "holdout_loss": checkpoint.holdout_loss,
            }
        )

    def usage(self, values: dict[str, Any]) -> None:  # numbers, texts, and sums of steps
        """What the whole run took, by the fields of `trainer_svc.domain.estimate.Usage`."""
        self._write({"type": "usage", **values})

    def close(self) -> None:
        """Ends the writing; what was told stays."""
        self._file.close()

    def _write(self, event: dict[str, object]) -> None:
        self._file.write(json.dumps(event).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
