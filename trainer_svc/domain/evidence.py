"""What is known of a revision when somebody decides whether it may serve: the seam between evaluation and promotion."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from trainer_svc.domain.comparison import Comparison, MetricName
from trainer_svc.domain.measure import Measure

UNCONSTRAINED = "unconstrained."
"""Prefix of measures of answers that no contract was enforced on."""


@dataclass(frozen=True)
class Evidence:
    """Figures of one revision on its holdout. Refuses (`ValueError`) what is no number: no check could be held to it.

    Each tuple of comparisons holds one of the task metric, which decides, and may hold others, which do not.
    """

    row_count: int
    """Holdout rows behind the measures."""
    measures: Mapping[str, Measure] = field(default_factory=dict)
    """By name as in `MetricName`, of answers under the contract; with the prefix `UNCONSTRAINED`, of free ones."""
    live_revision: str = ""
    """That `against_live` compares with; empty when none was live."""
    against_live: tuple[Comparison, ...] = ()
    """With the live revision, paired on the same holdout rows."""
    against_base: tuple[Comparison, ...] = ()
    """With the base model under the instruction prompt, paired; empty where the dataset has no such prompt."""
    against_chance: tuple[Comparison, ...] = ()
    """With its own answers to other rows: what a model gets that learned the format, and nothing of the inputs."""
    trained_against_chance: tuple[Comparison, ...] = ()
    """The same on rows that were trained on; empty where that was not measured."""
    against_bare_base: tuple[Comparison, ...] = ()
    """With the base model on the very same prompts, paired; empty where that was not measured."""
    memorised: Comparison | None = None
    """The task metric on a sample of rows that were trained on, minus that on the holdout; the rows are not paired."""
    forgetting: Mapping[str, float] = field(default_factory=dict)
    """`cross_entropy_increase` and `kl_divergence` in nats per token of general text, `leaked_format_rate` 0..1, and
    the base's own as `base_leaked_format_rate`."""

    def __post_init__(self) -> None:
        if self.row_count < 0:
            raise ValueError(f"row_count must not be negative, got {self.row_count}")
        wrong = [name for name, number in self._numbers() if not math.isfinite(number)]
        if wrong:
            raise ValueError(f"not finite: {', '.join(wrong)}")
        crossed = [name for name, low, high in self._intervals() if low > high]
        if crossed:
            raise ValueError(f"the interval ends before it begins: {', '.join(crossed)}")

    @property
    def comparisons(self) -> Iterator[tuple[str, Comparison]]:
        """Every comparison, with the name of what it compares with."""
        for name in ("against_live", "against_base", "against_chance", "trained_against_chance", "against_bare_base"):
            yield from ((name, comparison) for comparison in getattr(self, name))
        if self.memorised is not None:
            yield "memorised", self.memorised

    def _numbers(self) -> Iterator[tuple[str, float]]:
        for name, measure in self.measures.items():
            yield name, measure.value
        for name, low, high in self._intervals():
            yield from ((name, low), (name, high))
        for name, comparison in self.comparisons:
            yield from ((name, comparison.difference), (name, comparison.p_value))
        yield from self.forgetting.items()

    def _intervals(self) -> Iterator[tuple[str, float, float]]:
        for name, measure in self.measures.items():
            yield name, measure.low, measure.high
        for name, comparison in self.comparisons:
            yield name, comparison.low, comparison.high


def of_task(comparisons: tuple[Comparison, ...]) -> Comparison | None:
    """The comparison that decides; None where there is none."""
    return next((each for each in comparisons if each.metric is MetricName.TASK_METRIC), None)
