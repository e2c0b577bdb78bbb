"""How long optimizer steps take: a fixed time each, and more the more tokens they hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_SAME_WIDTH = 1e-6
"""Relative spread of squared widths below which steps say nothing of what is fixed."""


@dataclass(frozen=True)
class StepSums:
    """Sums over measured steps: all that least squares need of them, however many there were."""

    count: int
    tokens: float
    """Padding included, as for all tokens here."""
    seconds: float
    squared_tokens: float
    token_seconds: float
    """Sum of tokens times seconds."""

    @classmethod
    def of(cls, steps: Iterable[tuple[int, float]]) -> StepSums | None:
        """Of (tokens, seconds) of each step; None without any."""
        known = list(steps)
        if not known:
            return None
        return cls(
            count=len(known),
            tokens=float(sum(tokens for tokens, _ in known)),
            seconds=sum(seconds for _, seconds in known),
            squared_tokens=float(sum(tokens * tokens for tokens, _ in known)),
            token_seconds=sum(tokens * seconds for tokens, seconds in known),
        )


@dataclass(frozen=True)
class Pace:
    """`seconds = steps * step_seconds + tokens * token_seconds`; neither is negative."""

    step_seconds: float
    token_seconds: float

    def seconds(self, step_count: int, tokens: int) -> float:
        """Of so many steps with so many tokens together."""
        return step_count * self.step_seconds + tokens * self.token_seconds


def fit_pace(runs: Sequence[StepSums]) -> Pace:
    """The pace nearest to the steps of all runs, by least squares.

    Errors count in proportion to the run's mean step, and every run counts alike: a long run, or one on a busy machine,
    does not outvote the others. Steps of one width alone go into `token_seconds`.
    """
    counts, tokens, squares, seconds, products = 0.0, 0.0, 0.0, 0.0, 0.0
    for run in runs:
        weight = run.count / run.seconds**2
        counts += weight * run.count
        tokens += weight * run.tokens
        squares += weight * run.squared_tokens
        seconds += weight * run.seconds
        products += weight * run.token_seconds
    determinant = counts * squares - tokens**2
    if determinant <= _SAME_WIDTH * counts * squares:
        return Pace(0.0, products / squares)
    step = (squares * seconds - tokens * products) / determinant
    token = (counts * products - tokens * seconds) / determinant
    if step < 0:
        return Pace(0.0, products / squares)
    if token < 0:
        return Pace(seconds / counts, 0.0)
    return Pace(step, token)
