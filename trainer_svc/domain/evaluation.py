"""The whole evaluation of a training job: the states of its adapter, and what the published one is held against."""

from __future__ import annotations

from dataclasses import dataclass

from trainer_svc.domain.comparison import Comparison
from trainer_svc.domain.evidence import UNCONSTRAINED, Evidence
from trainer_svc.domain.forgetting import Forgetting
from trainer_svc.domain.measure import Metrics
from trainer_svc.domain.row_score import RowScore

MAX_HOLDOUT_ROWS = 1_000
"""Held-out rows that an adapter is evaluated on, a sample of more: they tell a rate to three per cent."""
MAX_CHECKPOINT_ROWS = 128
"""Of these, those that the states on the way answer: enough for a curve."""
MAX_TRAIN_ROWS = 64
"""Rows trained on that the published adapter answers, to see what it knows by heart."""


def scored_rows(holdout_count: int, checkpoint_count: int) -> int:
    """Held-out rows that so many states of an adapter are evaluated on, one after the other."""
    published = min(holdout_count, MAX_HOLDOUT_ROWS)
    return published + (checkpoint_count - 1) * min(published, MAX_CHECKPOINT_ROWS)


def answered_rows(
    holdout_count: int, train_count: int, checkpoint_count: int, *, has_instructions: bool, has_live: bool
) -> int:
    """Rows that are answered for a whole evaluation, each time that they are.

    `has_instructions` and `has_live` say whether the base with instructions and a live revision answer them, too.
    """
    own = 2 * scored_rows(holdout_count, checkpoint_count)  # under the contract, and freely
    others = (1 + has_instructions + has_live) * min(holdout_count, MAX_HOLDOUT_ROWS)  # the base alone in any case
    return own + min(train_count, MAX_TRAIN_ROWS) + others


@dataclass(frozen=True)
class CheckpointEvaluation:
    """One state of the adapter, as it would be served: files in bfloat16 on the base in the served type, greedily."""

    step: int
    is_published: bool
    constrained: Metrics
    """Of answers under the contract."""
    unconstrained: Metrics
    """Of free answers to the same rows: what the adapter learned by itself, and whether it ends them."""
    holdout_loss: float
    """Mean loss per target token on those rows, in nats."""
    forgetting: Forgetting


@dataclass(frozen=True)
class AdapterEvaluation:
    """What is known of a published adapter. Comparisons are of answers under the contract, row by row."""

    checkpoints: tuple[CheckpointEvaluation, ...]
    """By step; exactly one is published, and answered the most rows."""
    train: Metrics
    """Of the published adapter on rows that it was trained on."""
    memorised: Comparison
    """How much better it answers those than the holdout."""
    against_chance: tuple[Comparison, ...]
    """Against its own answers to other rows: what one would get who learned the answers, and nothing of inputs."""
    base: Metrics | None = None
    """The base model with the instruction prompt; None where the dataset has none."""
    against_base: tuple[Comparison, ...] = ()
    live_revision: str = ""
    """What served when the evaluation began; empty where nothing did."""
    live: Metrics | None = None
    """On the rows of these that it was not trained on; None where nothing served, or under another contract or on
    another base, so that it cannot answer them."""
    against_live: tuple[Comparison, ...] = ()
    trained_against_chance: tuple[Comparison, ...] = ()
    """As `against_chance`, on the rows behind `train`; empty where that was not measured."""
    bare_base: Metrics | None = None
    """The base model on the adapter's own prompts, without adapter or instructions; None where it was not asked."""
    against_bare_base: tuple[Comparison, ...] = ()

    @property
    def published(self) -> CheckpointEvaluation:
        """The state that was published."""
        return next(checkpoint for checkpoint in self.checkpoints if checkpoint.is_published)

    @property
    def output_tokens_saved(self) -> float:
        """Mean tokens of an answer that are fewer than of the base with instructions; may be negative, 0 without."""
        return self.base.output_tokens.value - self.published.constrained.output_tokens.value if self.base else 0.0

    @property
    def evidence(self) -> Evidence:
        """What the published adapter's promotion rests on."""
        own, forgetting = self.published, self.published.forgetting
        told = {
            "cross_entropy_increase": forgetting.cross_entropy_increase, "kl_divergence": forgetting.kl_divergence,
        }  # fmt: skip
        if forgetting.leaked_format_rate is not None:
            told["leaked_format_rate"] = forgetting.leaked_format_rate.value
        if forgetting.base_leaked_format_rate is not None:
            told["base_leaked_format_rate"] = forgetting.base_leaked_format_rate.value
        free = {f"{UNCONSTRAINED}{name}": measure for name, measure in own.unconstrained.measures.items()}
        return Evidence(
            row_count=own.constrained.row_count,
            measures={**own.constrained.measures, **free},
            live_revision=self.live_revision if self.live else "",
            against_live=self.against_live,
            against_base=self.against_base,
            against_chance=self.against_chance,
            trained_against_chance=self.trained_against_chance,
            against_bare_base=self.against_bare_base,
            memorised=self.memorised,
            forgetting=told,
        )


@dataclass(frozen=True)
class ScoredAnswer:
    """A model's answer to a held-out row."""

    text: str
    score: RowScore


@dataclass(frozen=True)
class EvaluatedRow:
    """A held-out row with what it was answered by the published adapter and by those it is held against."""

    row: int
    """Number in the dataset's upload."""
    key: str
    """Digest of input and golden output: the same row in another dataset, or another version of this one."""
    input: str
    golden: str
    adapter: ScoredAnswer
    unconstrained: ScoredAnswer
    base: ScoredAnswer | None = None
    live: ScoredAnswer | None = None

    @property
    def badness(self) -> tuple[bool, float, int]:
        """Sorts the worst first, reversed: exact ones last, then by the share of leaves that are wrong, then by row."""
        score = self.adapter.score
        leaves = score.matched + score.omitted + score.invented + score.mismatched
        return (not score.is_exact, 1 - score.matched / leaves if leaves else 0.0, -self.row)
