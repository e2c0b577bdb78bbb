"""What templates draw and decide by; every figure they write comes by its path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from goldsmith.registry.v1 import promotion_pb2
from goldsmith.trainer.v1 import evaluation_pb2
from shared.report import plot
from shared.report.figure import Figure, Figures
from shared.report.row import ExampleRow, example_rows

_TASK = "task_metric"
_ACCURACY = ("execution_match", "exact_match", "field_f1", "rouge_l")
_FORMAT = ("schema_valid", "parse_rate", "filler_rate", "own_stop_rate")
_BEHAVIOUR_BANDS = ((0.01, "hardly changed"), (0.1, "changed a little"), (0.5, "changed noticeably"))
"""Of the KL divergence in nats. Pinsker's inequality: the probabilities of a next word moved by sqrt(KL / 2) at most,
in total variation, which is 7 %, 22 % and 50 % here."""
_WIDE_INTERVAL = 0.1
"""Ten points: a reader must be told that the rows are few."""
_VERDICTS = {
    evaluation_pb2.COMPARISON_VERDICT_BETTER: "better",
    evaluation_pb2.COMPARISON_VERDICT_WORSE: "worse",
    evaluation_pb2.COMPARISON_VERDICT_UNDECIDED: "undecided",
}


@dataclass(frozen=True)
class Field:
    """One field of the answers, by the path of its metrics."""

    path: str
    bar: Markup


class View:
    """Paths and drawings of one job's evaluation."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._evaluation: evaluation_pb2.JobEvaluation = figures.value("evaluation")
        checkpoints = self._evaluation.checkpoints
        self._place = next((place for place, one in enumerate(checkpoints) if one.published), len(checkpoints) - 1)
        self.published = f"evaluation.checkpoints[{self._place}]"

    @property
    def checkpoints(self) -> list[str]:
        """Paths of all that were evaluated."""
        return [f"evaluation.checkpoints[{place}]" for place in range(len(self._evaluation.checkpoints))]

    @property
    def answered(self) -> list[str]:
        """Paths of the metrics of the published adapter and of those it is held against, as far as they answered."""
        others = ("evaluation.live", "evaluation.base", "evaluation.bare_base")
        return [f"{self.published}.constrained", *(path for path in others if self._figures.has(path))]

    @property
    def accuracy(self) -> list[str]:
        """Metrics that say whether answers are right, as far as they were measured."""
        return [name for name in _ACCURACY if self._figures.has(f"{self.published}.constrained.{name}")]

    @property
    def format(self) -> list[str]:
        """Metrics that say whether answers have their form, as far as they were measured."""
        return [name for name in _FORMAT if self._figures.has(f"{self.published}.constrained.{name}")]

    @property
    def is_uncertain(self) -> bool:
        """Whether the interval of the share of right answers is wide."""
        found = self._figures.value(f"{self.published}.constrained.{self.accuracy[0]}")
        return bool(found.high - found.low > _WIDE_INTERVAL)

    def comparisons(self, opponent: str) -> list[str]:
        """Paths of what differs from it, the task metric first; `opponent` is a field of JobEvaluation."""
        found = self._figures.value(f"evaluation.{opponent}")
        places = sorted(range(len(found)), key=lambda place: found[place].metric != _TASK)
        told = [place for place in places if found[place].metric == _TASK or found[place].difference]
        return [f"evaluation.{opponent}[{place}]" for place in told]

    def task(self, opponent: str) -> str:
        """Path of the comparison that decides; empty where there is none."""
        found = self.comparisons(opponent)
        return found[0] if found and self._figures.value(found[0]).metric == _TASK else ""

    def verdict(self, path: str) -> str:
        """Of a comparison: better, worse or undecided. What a newer server may say else is undecided."""
        return _VERDICTS.get(self._figures.value(path).verdict, "undecided") if path else ""

    def difference_bar(self, path: str, opponent: str) -> Markup:
        """On a scale that all comparisons with the same opponent share."""
        shown = self._figures.value(f"evaluation.{opponent}")
        limit = max((abs(end) for one in shown for end in (one.low, one.high)), default=0.0) or 1.0
        found = self._figures.value(path)
        return plot.difference_bar(found.low, found.difference, found.high, limit, "the difference with its interval")

    def interval_bar(self, path: str) -> Markup:
        """Of a measure between 0 and 1."""
        found = self._figures.value(path)
        return plot.interval_bar(found.low, found.value, found.high, "the value with its interval, from none to all")

    def loss_plot(self) -> Markup | None:
        """None where no loss was told."""
        points = [plot.LossPoint(one.step, one.train_loss) for one in self._figures.value("progress")]
        if not points:
            return None
        ends = [f"progress[{place}]" for place in (0, len(points) - 1)]
        losses = [self._figures.decimal(f"{end}.train_loss") for end in ends]
        steps = [self._figures.count(f"{end}.step") for end in ends]
        return plot.loss_plot(points, (losses[0], losses[1]), (steps[0], steps[1]))

    def checkpoint_plot(self) -> Markup:
        """Task metric, and the metrics that it is made of."""
        steps = [self._figures.count(f"{path}.step") for path in self.checkpoints]
        series = [plot.Series(name, [self._point(path, name) for path in self.checkpoints]) for name in self.plotted]
        return plot.checkpoint_plot(series, steps, self._place)

    @property
    def plotted(self) -> list[str]:
        """What `checkpoint_plot` shows. Result match and ROUGE-L are the task metric themselves."""
        own = self.accuracy
        same = [name for name in ("execution_match", "rouge_l") if name in own]
        return [*same, "exact_match"] if same else ["exact_match", "field_f1", _TASK]

    def fields(self) -> list[Field]:
        """Worst first; of equals the one with more values."""
        path = f"{self.published}.constrained.fields"
        found = self._figures.value(path)
        order = sorted(range(len(found)), key=lambda place: (found[place].f1, -found[place].golden_count))
        return [Field(f"{path}[{place}]", _field_bar(found[place])) for place in order]

    def examples(self) -> Sequence[ExampleRow]:
        """The worst rows."""
        return example_rows(self._figures)

    def behaviour(self) -> str:
        """In words, how far general text has become another one for the base model."""
        divergence = self._figures.value(f"{self.published}.forgetting").kl_divergence
        return next((words for limit, words in _BEHAVIOUR_BANDS if divergence < limit), "changed strongly")

    def stopping_checks(self) -> list[str]:
        """Paths of the checks that keep the revision from being promoted."""
        return [path for path in self.checks() if self._figures.value(path).reason]

    def checks(self) -> list[str]:
        """Paths of the promotion policy's checks."""
        if not self._figures.has("job.promotion"):
            return []
        return [f"job.promotion.checks[{place}]" for place in range(len(self._figures.value("job.promotion").checks))]

    def outcome(self) -> str:
        """What became of the revision: live, canary, manual or stopped; empty where no policy was asked."""
        if not self._figures.has("job.promotion"):
            return ""
        report = self._figures.value("job.promotion")
        if not report.passed:
            return "stopped"
        modes = {promotion_pb2.PROMOTION_MODE_CANARY: "canary", promotion_pb2.PROMOTION_MODE_MANUAL: "manual"}
        return modes.get(report.mode, "live")

    def settings(self) -> Iterator[tuple[str, Figure]]:
        """Names and figures of the job's settings that are filled in."""
        for field, value in self._figures.value("job").spec.ListFields():
            path = f"job.spec.{field.name}"
            name = field.name.replace("_", " ")
            if field.enum_type is not None:
                yield name, self._figures.word(path)
            else:
                yield name, self._figures.setting(path) if not isinstance(value, bool) else self._figures.text(path)

    def _point(self, path: str, name: str) -> plot.Point:
        step, found = self._figures.value(f"{path}.step"), self._figures.value(f"{path}.constrained.{name}")
        return plot.Point(step, found.value, found.low, found.high)


def _field_bar(found: evaluation_pb2.FieldMetrics) -> Markup:
    parts = [(name, getattr(found, name)) for name in ("matched", "mismatched", "omitted", "invented")]
    return plot.share_bar(parts, "right, different, missing and invented values side by side")
