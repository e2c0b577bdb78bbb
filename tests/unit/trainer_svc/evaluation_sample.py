"""An evaluation as a run leaves it."""

from __future__ import annotations

import dataclasses
from typing import Any

from trainer_svc.domain.comparison import Comparison, MetricName, Verdict
from trainer_svc.domain.evaluation import AdapterEvaluation, CheckpointEvaluation, EvaluatedRow, ScoredAnswer
from trainer_svc.domain.forgetting import BenchmarkScore, Forgetting
from trainer_svc.domain.measure import Measure
from trainer_svc.domain.row_score import FieldCount, RowScore
from trainer_svc.domain.run import RunFolder
from trainer_svc.evaluation.summary import metrics_of
from trainer_svc.store.codec import dump

RIGHT = RowScore(
    is_valid=True, is_exact=True, fields=(FieldCount("/a", matched=1),), has_filler=False, ended=True, token_count=3
)
WRONG = dataclasses.replace(RIGHT, is_exact=False, fields=(FieldCount("/a", mismatched=1),), token_count=4)
HALF = metrics_of([RIGHT, WRONG])
COMPARISON = Comparison(MetricName.EXACT_MATCH, 0.5, -0.1, 0.9, 0.25, 2, Verdict.UNDECIDED)
FORGETTING = Forgetting(
    base_cross_entropy=3.0, cross_entropy=3.25, kl_divergence=0.125, text_token_count=100,
    leaked_format_rate=Measure(0.5, 0.25, 0.75), base_leaked_format_rate=Measure(0.25, 0.125, 0.5),
    benchmarks=(BenchmarkScore("capitals", 4, Measure(0.75, 0.5, 1.0), Measure(0.5, 0.25, 0.75)),),
)  # fmt: skip


def checkpoint(step: int, *, is_published: bool = False) -> CheckpointEvaluation:
    """One state of an adapter."""
    return CheckpointEvaluation(step, is_published, HALF, HALF, holdout_loss=0.5, forgetting=FORGETTING)


def evaluation(**changes: Any) -> AdapterEvaluation:
    """With a base to compare with, bare and under instructions, and nothing live."""
    plain = AdapterEvaluation(
        checkpoints=(checkpoint(5), checkpoint(10, is_published=True)), train=HALF, memorised=COMPARISON,
        against_chance=(COMPARISON,), base=HALF, against_base=(COMPARISON,), trained_against_chance=(COMPARISON,),
        bare_base=HALF, against_bare_base=(COMPARISON,),
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)


def row(number: int, score: RowScore = RIGHT, **changes: Any) -> EvaluatedRow:
    """A held-out row; its texts tell its number."""
    answer = ScoredAnswer(f"answer {number}", score)
    plain = EvaluatedRow(
        row=number, key=f"sha256:{number}", input=f"input {number}", golden=f"golden {number}", adapter=answer,
        unconstrained=answer,
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)


def write_evaluation(run: RunFolder) -> None:
    """As a run leaves it, with one row."""
    run.evaluation.write_text(dump(evaluation()))
    run.evaluated_rows.write_text(dump(row(1)) + "\n")
