"""Whether a canary is worse than the revision beside it, beyond chance, however often one looks.

Requests are assigned by an independent draw each, so the tests below are randomization tests: under the hypothesis that
the revision makes no difference to any request they hold whatever the requests are and however the load varies with
time (Fisher, The Design of Experiments, 1935, II). Both sides are samples of the same period.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from scipy.stats import fisher_exact, mannwhitneyu

from shared.adapter.canary import RollbackPolicy, RollbackReason

FIRST_LOOK = 8
"""Requests on the smaller side at the first look. Of 8 that all fail beside 8 that do not, p is 8e-5: enough."""
WINDOW = 1024
"""Requests on the smaller side at the last look before all begins anew, so that a fault that comes late is not diluted
by a good past; also how many times of each side are kept."""


class Side(enum.StrEnum):
    """To which revision a request was drawn."""

    LIVE = "live"
    CANARY = "canary"


@dataclass(frozen=True)
class Sample:
    """One request that ended."""

    is_failed: bool
    """By a fault of the adapter."""
    is_retried: bool
    """It needed more than one attempt."""
    seconds: float | None
    """In the engine and in checks; None unless it was answered."""


@dataclass(frozen=True)
class Verdict:
    """In what the canary is worse, with the figures."""

    reason: RollbackReason
    description: str


@dataclass
class _Tally:
    chance: Callable[[], float]
    requests: int = 0
    failed: int = 0
    retried: int = 0
    answered: int = 0
    seconds: list[float] = field(default_factory=list)
    """A uniform sample of at most `WINDOW` times, without memory of more (Vitter 1985, Algorithm R)."""

    def take(self, sample: Sample) -> None:
        self.requests += 1
        self.failed += sample.is_failed
        self.retried += sample.is_retried
        if sample.seconds is None:
            return
        self.answered += 1
        if len(self.seconds) < WINDOW:
            self.seconds.append(sample.seconds)
        elif (place := int(self.chance() * self.answered)) < WINDOW:
            self.seconds[place] = sample.seconds


class CanaryJudge:
    """Looks when the smaller side has 8, 16, ... 1,024 requests, then begins a new window; memory is bounded.

    Look k of m watched measures is held at the level a / (k (k + 1) m), a being 1 - confidence. Since the sum of
    1 / (k (k + 1)) over all k is 1, the probability that any look at a canary that is no worse ever condemns it is at
    most a, by Bonferroni's inequality: looking again is paid for (alpha spending: Lan and DeMets 1983).
    """

    def __init__(self, policy: RollbackPolicy, chance: Callable[[], float]) -> None:
        self._policy, self._chance, self._looks = policy, chance, 0
        self.restart(policy)

    def restart(self, policy: RollbackPolicy) -> None:
        """Begins a new window, as after a change of the weights, whose mixture would compare two periods.

        Looks that were taken stay paid for.
        """
        self._policy, self._next_look = policy, FIRST_LOOK
        self._tallies = {side: _Tally(self._chance) for side in Side}

    def note(self, side: Side, sample: Sample) -> Verdict | None:
        """Takes a request up; the verdict if that shows the canary to be worse."""
        self._tallies[side].take(sample)
        if not self._policy.watched or min(t.requests for t in self._tallies.values()) < self._next_look:
            return None
        self._looks += 1
        level = (1 - self._policy.confidence) / (self._looks * (self._looks + 1) * len(self._policy.watched))
        verdict = next(self._verdicts(level), None)
        self._next_look *= 2
        if self._next_look > WINDOW:
            self.restart(self._policy)
        return verdict

    def _verdicts(self, level: float) -> Iterator[Verdict]:
        live, canary = self._tallies[Side.LIVE], self._tallies[Side.CANARY]
        tests = {
            RollbackReason.ERROR_RATE: lambda: self._rate(live, canary, live.failed, canary.failed),
            RollbackReason.FORMAT_RETRY_RATE: lambda: self._rate(live, canary, live.retried, canary.retried),
            RollbackReason.LATENCY: lambda: self._latency(live, canary),
        }
        for reason in self._policy.watched:
            p, figures = tests[reason]()
            if p <= level:
                yield Verdict(reason, f"{figures}; p = {p:.2g}, level {level:.2g} (look {self._looks})")

    def _rate(self, live: _Tally, canary: _Tally, live_count: int, canary_count: int) -> tuple[float, str]:
        """Fisher's exact test that the canary's rate is higher; p is 1 where the difference is within the margin."""
        figures = f"{canary_count} of {canary.requests} requests, live {live_count} of {live.requests}"
        if canary_count / canary.requests - live_count / live.requests <= self._policy.rate_margin:
            return 1.0, figures
        table = [[canary_count, canary.requests - canary_count], [live_count, live.requests - live_count]]
        return float(fisher_exact(table, alternative="greater").pvalue), figures

    def _latency(self, live: _Tally, canary: _Tally) -> tuple[float, str]:
        """Mann and Whitney's test (1947) that the canary's times exceed the live ones times 1 + margin."""
        if not live.seconds or not canary.seconds:
            return 1.0, ""
        scaled = [seconds * (1 + self._policy.latency_margin) for seconds in live.seconds]
        p = float(mannwhitneyu(canary.seconds, scaled, alternative="greater").pvalue)
        return p, (
            f"median {_median(canary.seconds):.3f} s of {len(canary.seconds)} answers, "
            f"live {_median(live.seconds):.3f} s of {len(live.seconds)}, margin {self._policy.latency_margin:.0%}"
        )


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
