"""How long optimizer steps take, from those that were measured."""

from __future__ import annotations

import random

import pytest

from trainer_svc.domain.pace import Pace, StepSums, fit_pace

PLANTED = Pace(step_seconds=0.07, token_seconds=0.0003)
WIDTHS = (1_704, 1_704, 1_424, 708, 1_500, 1_200)


def _sums(pace: Pace, widths: tuple[int, ...] = WIDTHS, *, slower: float = 1.0, noise: float = 0.0) -> StepSums:
    draw = random.Random(1)
    sums = StepSums.of((width, slower * pace.seconds(1, width) * (1 + draw.uniform(-noise, noise))) for width in widths)
    assert sums is not None
    return sums


class TestFit:
    """Least squares over steps."""

    def test_finds_what_was_planted(self) -> None:
        """Steps that keep to the formula give it back, in one run or in several with other widths."""
        alone = fit_pace([_sums(PLANTED)])
        together = fit_pace([_sums(PLANTED, (100,) * 9), _sums(PLANTED, (400, 400))])

        for found in (alone, together):
            assert (found.step_seconds, found.token_seconds) == pytest.approx((0.07, 0.0003))

    def test_bears_noise(self) -> None:
        """Steps that are off by a fifth still tell a run within a twentieth."""
        draw = random.Random(2)
        widths = tuple(draw.randint(200, 1_700) for _ in range(200))

        found = fit_pace([_sums(PLANTED, widths, noise=0.2)])

        assert found.seconds(1_000, 500_000) == pytest.approx(PLANTED.seconds(1_000, 500_000), rel=0.05)

    def test_no_time_is_negative(self) -> None:
        """Where wide steps were the faster ones, or narrow ones cost next to nothing, the other part has it all."""
        falling = StepSums.of([(100, 0.4), (250, 0.25), (400, 0.1)])
        steep = StepSums.of([(100, 0.01), (250, 0.205), (400, 0.4)])
        assert falling is not None
        assert steep is not None

        assert fit_pace([falling]) == Pace(pytest.approx(0.25), 0.0)
        assert fit_pace([steep]).step_seconds == 0.0
        assert fit_pace([steep]).token_seconds > 0

    def test_does_not_believe_what_noise_says_of_fixed_time(self) -> None:
        """Nine steps of like width, off by a third: a job of other rows is told no multiple of what it takes."""
        truth, draw = Pace(0.02, 0.0004), random.Random(3)
        told = []
        for _ in range(200):
            widths = [draw.randint(1_000, 1_700) for _ in range(9)]
            sums = StepSums.of((width, truth.seconds(1, width) * draw.uniform(0.67, 1.33)) for width in widths)
            assert sums is not None
            told.append(fit_pace([sums]).seconds(1, 320) / truth.seconds(1, 320))

        assert sum(0.7 < share < 1.3 for share in told) > 0.7 * len(told)

    @pytest.mark.parametrize("count", [1, 5])
    def test_steps_of_one_width_cost_by_their_tokens(self, count: int) -> None:
        """One measured step is enough, and says nothing of what is fixed."""
        found = fit_pace([_sums(PLANTED, (1_000,) * count)])

        assert found == Pace(0.0, pytest.approx(0.00037))

    def test_every_run_counts_alike(self) -> None:
        """A run of a hundred times the steps does not outvote another."""
        long, short = Pace(0.0, 0.001), Pace(0.0, 0.002)

        found = fit_pace([_sums(long, (1_000,) * 100), _sums(short, (1_000,))])

        assert found.token_seconds == pytest.approx((1 / 0.001 + 1 / 0.002) / (1 / 0.001**2 + 1 / 0.002**2))


class TestStepSums:
    """What is kept of a run's steps."""

    def test_of_no_steps_is_nothing(self) -> None:
        """A run of one step only warmed up."""
        assert StepSums.of([]) is None
