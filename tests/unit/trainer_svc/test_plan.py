"""Settings that a training job leaves open."""

from __future__ import annotations

import pytest

from trainer_svc.domain.plan import TrainingPlan, learning_rate, plan_training
from trainer_svc.domain.run import RunSpec


def _plan(spec: RunSpec, train_count: int) -> TrainingPlan:
    return plan_training(spec, train_count=train_count, hidden_size=256, model_type="llama")


class TestPlan:
    """Settings that a job leaves open."""

    def test_keeps_what_the_job_sets(self) -> None:
        """Only open settings are chosen."""
        spec = RunSpec("j", "b", "c", "{}", "d", "e", rank=8, epoch_count=2, batch_size=4, learning_rate=0.1, alpha=3.0)

        plan = _plan(spec, 10)

        assert (plan.rank, plan.alpha, plan.learning_rate, plan.epoch_count) == (8, 3.0, 0.1, 2)
        assert plan.step_count == 6

    @pytest.mark.parametrize(("rows", "steps", "warmup"), [(8, 1, 0), (16, 2, 1), (800, 100, 3)])
    def test_a_run_of_one_step_learns_in_it(self, rows: int, steps: int, warmup: int) -> None:
        """The rate of the first of several is 0."""
        plan = _plan(RunSpec("j", "b", "c", "{}", "d", "e", epoch_count=1, batch_size=8), rows)

        assert (plan.step_count, plan.warmup_step_count) == (steps, warmup)

    def test_alpha_gives_the_same_scaling_in_both_ways_of_counting(self) -> None:
        """At the default rank rsLoRA begins where LoRA does; from there only it falls with the root of the rank."""
        plain, stabilised = (RunSpec("j", "b", "c", "{}", "d", "e", use_rslora=use) for use in (False, True))

        first, second = (_plan(spec, 500) for spec in (plain, stabilised))

        assert first.alpha / first.rank == second.alpha / second.rank**0.5
        assert second.use_rslora

    def test_larger_sets_take_fewer_passes(self) -> None:
        """The number of examples seen stays about the same, within limits."""
        spec = RunSpec("j", "b", "c", "{}", "d", "e")
        epochs = [_plan(spec, n).epoch_count for n in (50, 500, 1000, 2000, 9000)]

        assert epochs == sorted(epochs, reverse=True)
        assert len(set(epochs)) > 2

    @pytest.mark.parametrize(
        ("model_type", "width", "rate"),
        [
            ("llama", 2048, 4.9e-4),
            ("llama", 4096, 2.9e-4),
            ("llama4_text", 4096, 2.9e-4),
            ("qwen2", 2560, 4.9e-4),
            ("qwen3", 2560, 4.9e-4),
            ("qwen3", 4096, 4.7e-4),
            ("qwen3_moe", 4096, 4.7e-4),
            ("mistral", 4096, 2.9e-4),
        ],
    )
    def test_learning_rate_follows_its_source(self, model_type: str, width: int, rate: float) -> None:
        """The published value for each family; another family's is as for a Llama."""
        assert learning_rate(width, model_type) == pytest.approx(rate, rel=0.02)

    def test_learning_rate_of_a_short_run_is_that_of_a_long_one(self) -> None:
        """The presets were measured so."""
        short, long = (_plan(RunSpec("j", "b", "c", "{}", "d", "e", epoch_count=count), 80) for count in (1, 20))

        assert short.step_count < 100 < long.step_count
        assert short.learning_rate == long.learning_rate == pytest.approx(2.49e-3, rel=0.01)
