"""How far a ratio of two mean losses may lie from the truth."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from tests.bench.train_speed import ratio_error


class TestRatioError:
    """The delta method's standard error."""

    def test_is_the_spread_of_ratios_drawn_again_and_again(self) -> None:
        """Ratios of means of five draws each scatter by what one draw of five and five tells, on average."""
        rng = random.Random(1)
        draws = [[[rng.gauss(mean, 0.001) for _ in range(5)] for mean in (0.047, 0.048)] for _ in range(2_000)]
        ratios = [statistics.mean(above) / statistics.mean(below) for above, below in draws]

        told = math.sqrt(statistics.mean(ratio_error(above, below) ** 2 for above, below in draws))

        assert told == pytest.approx(statistics.stdev(ratios), rel=0.05)
