"""Settings that go together."""

from __future__ import annotations

import pytest

from trainer_svc.domain.job import JobSpec
from trainer_svc.domain.plan import RANKS, TrainingPlan, patience_of, plan_training, settings
from trainer_svc.domain.preset import RECIPES
from trainer_svc.domain.run import Preset, RunSpec


def _plan(spec: JobSpec, validation_row_count: int = 50) -> TrainingPlan:
    return plan_training(
        spec, train_count=450, hidden_size=256, model_type="llama", validation_row_count=validation_row_count
    )


class TestPreset:
    """What a preset chooses."""

    @pytest.mark.parametrize("preset", list(Preset))
    def test_each_has_a_recipe_that_a_job_could_ask_for(self, preset: Preset) -> None:
        """Within the ranges that the settings have."""
        recipe = RECIPES[preset]

        assert recipe.rank in RANKS
        assert 1 <= recipe.epochs[0] <= recipe.epochs[1] <= 100

    def test_none_is_balanced(self) -> None:
        """The plan of a job that names none is what it was before there were presets."""
        plan = plan_training(JobSpec(), train_count=500, hidden_size=256, model_type="llama")

        assert plan == plan_training(
            JobSpec(preset=Preset.BALANCED), train_count=500, hidden_size=256, model_type="llama"
        )
        assert (plan.rank, plan.epoch_count, plan.loraplus_ratio, plan.early_stopping_patience) == (16, 10, 1.0, 0)

    def test_what_the_job_sets_wins(self) -> None:
        """Field by field; the others stay the preset's."""
        own = _plan(JobSpec(preset=Preset.BEST, rank=4, epoch_count=2, loraplus_ratio=2.0, early_stopping_patience=1))
        best = _plan(JobSpec(preset=Preset.BEST))

        assert (own.rank, own.epoch_count, own.loraplus_ratio, own.early_stopping_patience) == (4, 2, 2.0, 1)
        assert best.early_stopping_patience == RECIPES[Preset.BEST].early_stopping_patience
        assert own.batch_size == best.batch_size

    def test_a_patience_of_nought_turns_it_off(self) -> None:
        """As any field that is set."""
        assert patience_of(JobSpec(preset=Preset.BEST, early_stopping_patience=0)) == 0
        assert patience_of(JobSpec(preset=Preset.BEST)) > 0

    def test_without_rows_to_validate_on_it_is_off(self) -> None:
        """And shown as such."""
        assert _plan(JobSpec(preset=Preset.BEST), 0).early_stopping_patience == 0

    def test_the_manifest_names_it(self) -> None:
        """With all that it chose."""
        spec = RunSpec("j", "b", "c", "{}", "d", "e", preset=Preset.FAST)

        told = settings(plan_training(spec, train_count=500, hidden_size=256, model_type="llama"), spec)

        assert told["preset"] == "fast"
        assert told["loraplus_ratio"] == RECIPES[Preset.FAST].loraplus_ratio
