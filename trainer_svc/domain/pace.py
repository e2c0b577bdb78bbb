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
    squared_seconds: float

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
            squared_seconds=sum(seconds * seconds for _, seconds in known),
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
    does not outvote the others. The fixed time `a` shrinks to `a - variance / a`, by the variance of its estimate
    (James and Stein 1961): on a busy machine steps of like width would give any, and jobs with other rows be told many
    times what they take. What it loses goes to the tokens, so that the sum stays. Two steps or fewer, or steps of one
    width, say nothing of it.
    """
    weights = [run.count / run.seconds**2 for run in runs]

    def total(name: str) -> float:
        return sum(weight * float(getattr(run, name)) for weight, run in zip(weights, runs, strict=True))

    counts, tokens, seconds = total("count"), total("tokens"), total("seconds")
    squares, products = total("squared_tokens"), total("token_seconds")
    determinant, freedom = counts * squares - tokens**2, sum(run.count for run in runs) - 2
    fixed = 0.0
    if freedom > 0 and determinant > _SAME_WIDTH * counts * squares:
        step = (squares * seconds - tokens * products) / determinant
        token = (counts * products - tokens * seconds) / determinant
        residue = max(0.0, total("squared_seconds") - step * seconds - token * products)
        variance = residue / freedom * squares / determinant
        fixed = min(seconds / counts, max(0.0, step - variance / step)) if step > 0 else 0.0
    return Pace(fixed, max(0.0, (seconds - fixed * counts) / tokens))
