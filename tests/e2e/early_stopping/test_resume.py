"""Early stopping on a tiny model: what is kept through kills and stops."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.early_stopping.mortal import RisingValidation, kill_at
from tests.e2e.early_stopping.outcome import steps_of, weights_of
from tests.e2e.training_sample import events_of, run_here
from trainer_svc.domain.run import Cancelled, RunFolder
from trainer_svc.engine import training_stage
from trainer_svc.engine.validation import record_of

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


class TestResume:
    """Attempts that follow a death or a stop."""

    def test_a_killed_run_ends_with_the_same_bytes(
        self, write: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Kill -9 in a validation, while its adapter replaces the best one, and before its checkpoint is whole."""
        monkeypatch.setattr(training_stage, "Validation", RisingValidation)
        whole, killed = write("whole"), write("killed")
        run_here(whole)
        bests = [event["best_step"] for event in events_of(whole, "progress") if "best_step" in event]
        assert len(set(bests)) > 2, "a best one must follow a best one for this to tell anything"

        kill_at(killed, "training_stage", "score_rows", 2)
        kill_at(killed, "validation", "replace_folder", 2)
        assert killed.best.exists()
        kill_at(killed, "training", "seal", 1)
        run_here(killed)

        assert weights_of(killed) == weights_of(whole)
        assert record_of(killed.adapter) == record_of(whole.adapter)
        assert events_of(killed, "checkpoint")[-1] == events_of(whole, "checkpoint")[-1]

    def test_a_run_that_is_stopped_in_a_validation_makes_up_for_it(self, write: Callable[..., RunFolder]) -> None:
        """Its step is kept: no step is taken again, and the bytes are those of a run without a stop."""
        whole, stopped = write("whole"), write("stopped")
        run_here(whole)
        with pytest.raises(Cancelled):
            run_here(stopped, stopped.candidate.exists)
        assert [event["step"] for event in events_of(stopped, "checkpoint")] == [2]

        run_here(stopped)

        assert "validation_score" not in events_of(stopped, "progress")[0]
        assert steps_of(stopped) == sorted(steps_of(stopped))
        assert weights_of(stopped) == weights_of(whole)
        told, expected = (
            {event["step"]: event.get("validation_score") for event in events_of(run, "progress")}
            for run in (stopped, whole)
        )
        assert told == expected

    def test_a_run_that_had_stopped_early_does_not_train_on(
        self, write: Callable[..., RunFolder], scored: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A death between its last step and its adapter costs no step, although a later one might score higher.

        Nor does one while the best adapter is replaced: the one before is put back.
        """
        folder = write("late", early_stopping_patience=1)
        scored(0.5, 0.4)
        with monkeypatch.context() as broken:
            broken.setattr(training_stage, "publish_folder", _fail)
            with pytest.raises(OSError, match="gone"):
                run_here(folder)
        steps = steps_of(folder)
        folder.best.rename(folder.former_best)

        scored(1.0)
        run_here(folder)

        assert steps_of(folder) == steps
        assert record_of(folder.adapter) == {"best_step": 2, "validation_score": 0.5}


def _fail(*_: object) -> None:
    raise OSError("gone")
