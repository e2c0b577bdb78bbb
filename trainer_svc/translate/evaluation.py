"""Evaluations of adapters."""

from __future__ import annotations

from collections.abc import Iterable

from goldsmith.trainer.v1 import evaluation_pb2 as pb
from trainer_svc.domain.comparison import Comparison, Verdict
from trainer_svc.domain.evaluation import AdapterEvaluation, CheckpointEvaluation, EvaluatedRow, ScoredAnswer
from trainer_svc.domain.forgetting import Forgetting
from trainer_svc.domain.job import Job
from trainer_svc.domain.measure import FieldMeasure, Measure, Metrics

_VERDICTS = {verdict: pb.ComparisonVerdict.Value(f"COMPARISON_VERDICT_{verdict.name}") for verdict in Verdict}


def job_evaluation(job: Job, found: AdapterEvaluation) -> pb.JobEvaluation:
    """All that a job measured, but for its rows."""
    return pb.JobEvaluation(
        job=job.name,
        revision=job.revision,
        checkpoints=map(_checkpoint, found.checkpoints),
        base=_metrics(found.base) if found.base else None,
        against_base=comparisons(found.against_base),
        live_revision=found.live_revision,
        live=_metrics(found.live) if found.live else None,
        against_live=comparisons(found.against_live),
        against_chance=comparisons(found.against_chance),
        trained_against_chance=comparisons(found.trained_against_chance),
        bare_base=_metrics(found.bare_base) if found.bare_base else None,
        against_bare_base=comparisons(found.against_bare_base),
        train=_metrics(found.train),
        memorised=_comparison(found.memorised),
    )


def evaluated_row(row: EvaluatedRow) -> pb.EvaluatedRow:
    """A held-out row with its answers."""
    return pb.EvaluatedRow(
        row_number=row.row,
        input=row.input,
        golden_output=row.golden,
        adapter=_answer(row.adapter),
        unconstrained=_answer(row.unconstrained),
        base=_answer(row.base) if row.base else None,
        live=_answer(row.live) if row.live else None,
    )


def comparisons(found: Iterable[Comparison]) -> list[pb.MetricComparison]:
    """One set of answers against another, by metric."""
    return [_comparison(one) for one in found]


def _comparison(one: Comparison) -> pb.MetricComparison:
    return pb.MetricComparison(
        metric=one.metric.value,
        difference=one.difference,
        low=one.low,
        high=one.high,
        p_value=one.p_value,
        row_count=one.row_count,
        verdict=_VERDICTS[one.verdict],
    )


def _checkpoint(one: CheckpointEvaluation) -> pb.CheckpointEvaluation:
    return pb.CheckpointEvaluation(
        step=one.step,
        published=one.is_published,
        constrained=_metrics(one.constrained),
        unconstrained=_metrics(one.unconstrained),
        holdout_loss=one.holdout_loss,
        forgetting=_forgetting(one.forgetting),
    )


def _metrics(found: Metrics) -> pb.AnswerMetrics:
    return pb.AnswerMetrics(
        row_count=found.row_count,
        schema_valid=measure(found.schema_valid),
        exact_match=measure(found.exact_match),
        field_precision=measure(found.field_precision),
        field_recall=measure(found.field_recall),
        field_f1=measure(found.field_f1),
        omitted=found.omitted,
        invented=found.invented,
        mismatched=found.mismatched,
        fields=map(_field, found.fields),
        dropped_field_count=found.dropped_field_count,
        filler_rate=measure(found.filler_rate),
        own_stop_rate=measure(found.own_stop_rate),
        output_tokens=measure(found.output_tokens),
        parse_rate=measure(found.parse_rate),
        execution_match=measure(found.execution_match),
        rouge_l=measure(found.rouge_l),
        task_metric=measure(found.task_metric),
    )


def measure(found: Measure | None) -> pb.Measure | None:
    """A value with its interval, or nothing where there is none."""
    return pb.Measure(value=found.value, low=found.low, high=found.high) if found else None


def _field(field: FieldMeasure) -> pb.FieldMetrics:
    return pb.FieldMetrics(
        path=field.path,
        golden_count=field.golden_count,
        matched=field.matched,
        omitted=field.omitted,
        invented=field.invented,
        mismatched=field.mismatched,
        precision=field.precision,
        recall=field.recall,
        f1=field.f1,
    )


def _forgetting(found: Forgetting) -> pb.Forgetting:
    return pb.Forgetting(
        base_cross_entropy=found.base_cross_entropy,
        cross_entropy=found.cross_entropy,
        kl_divergence=found.kl_divergence,
        text_token_count=found.text_token_count,
        leaked_format_rate=measure(found.leaked_format_rate),
        base_leaked_format_rate=measure(found.base_leaked_format_rate),
        benchmarks=[
            pb.BenchmarkScore(
                name=one.name, row_count=one.row_count, base=measure(one.base), adapter=measure(one.adapter)
            )
            for one in found.benchmarks
        ],
    )


def _answer(answer: ScoredAnswer) -> pb.ScoredAnswer:
    score = answer.score
    return pb.ScoredAnswer(
        text=answer.text,
        valid=score.is_valid,
        exact=score.is_exact,
        matched=score.matched,
        omitted=score.omitted,
        invented=score.invented,
        mismatched=score.mismatched,
        output_tokens=score.token_count,
        own_stop=score.ended,
        filler=score.has_filler,
        executes_alike=score.executes_alike,
        rouge_l=score.rouge_l,
    )
