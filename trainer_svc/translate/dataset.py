"""Golden datasets."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import datetime

from goldsmith.trainer.v1 import dataset_service_pb2
from goldsmith.trainer.v1 import golden_dataset_pb2 as pb
from shared.names import DatasetName, invalid_field
from trainer_svc.domain.curation import CurationStep, Lineage, RowText, ToldChange
from trainer_svc.domain.dataset import Dataset, DatasetFormat, DatasetState, Finding, InvalidRowPolicy, Report
from trainer_svc.domain.finding_kind import FINDING_KINDS, FindingFilter, Severity
from trainer_svc.domain.teacher import Labelling, SyntheticReport, TeacherSettings
from trainer_svc.domain.token_length import Quantiles, TokenLengths
from trainer_svc.translate.time import timestamp

_STATES = {state: pb.GoldenDatasetState.Value(f"GOLDEN_DATASET_STATE_{state.name}") for state in DatasetState}
_FORMATS = {format_: pb.GoldenDatasetFormat.Value(f"GOLDEN_DATASET_FORMAT_{format_.name}") for format_ in DatasetFormat}
_READ_AS = {value: format_ for format_, value in _FORMATS.items()} | {
    pb.GOLDEN_DATASET_FORMAT_UNSPECIFIED: DatasetFormat.JSONL
}
_STEPS = {step: pb.CurationStep.Value(f"CURATION_STEP_{step.name}") for step in CurationStep}
_KNOWN_STEPS = {value: step for step, value in _STEPS.items()}
_POLICIES = {
    pb.INVALID_ROW_POLICY_UNSPECIFIED: InvalidRowPolicy.REFUSE,
    pb.INVALID_ROW_POLICY_REFUSE: InvalidRowPolicy.REFUSE,
    pb.INVALID_ROW_POLICY_EXCLUDE: InvalidRowPolicy.EXCLUDE,
}

_SEVERITIES = {severity: pb.FindingSeverity.Value(f"FINDING_SEVERITY_{severity.name}") for severity in Severity}
_LEAST = {number: severity for severity, number in _SEVERITIES.items()}


def new_dataset(name: DatasetName, message: pb.GoldenDataset, now: datetime) -> Dataset:
    """What a caller wants to create.

    Raises:
        InvalidInput: the format is not one that this server reads, or a setting of the teacher is out of its range.
    """
    if message.format not in _READ_AS:
        raise invalid_field("dataset.format", f"must be one of {', '.join(DatasetFormat)}, got number {message.format}")
    return Dataset(
        name=str(name),
        contract=message.contract,
        instruction_prompt=message.instruction_prompt,
        database_sql=message.database_sql,
        create_time=now,
        format=_READ_AS[message.format],
        teacher=_teacher(message.teacher) if message.HasField("teacher") else None,
        split_seed=message.split_seed,
    )


def policy(value: pb.InvalidRowPolicy.ValueType) -> InvalidRowPolicy:
    """What to do with invalid rows; an unknown value is the strict one."""
    return _POLICIES.get(value, InvalidRowPolicy.REFUSE)


def finding_filter(reasons: Sequence[str], least: pb.FindingSeverity.ValueType) -> FindingFilter:
    """Which findings are wanted.

    Raises:
        InvalidInput: FIELD_INVALID for a reason or a severity that there is not.
    """
    if least and least not in _LEAST:
        raise invalid_field("min_severity", f"must be one of {', '.join(Severity.__members__)}, got {least}")
    for place, reason in enumerate(reasons):
        if reason not in FINDING_KINDS:
            raise invalid_field(f"reasons[{place}]", f"must be one of {', '.join(FINDING_KINDS)}, got {reason[:63]!r}")
    return FindingFilter(frozenset(reasons), _LEAST.get(least, Severity.ADVICE))


def dataset(stored: Dataset) -> pb.GoldenDataset:
    """A dataset as it stands."""
    return pb.GoldenDataset(
        name=stored.name,
        contract=stored.contract,
        instruction_prompt=stored.instruction_prompt,
        database_sql=stored.database_sql,
        state=_STATES[stored.state],
        size_bytes=stored.size_bytes,
        digest=stored.digest,
        report=_report(stored.report) if stored.report else None,
        create_time=timestamp(stored.create_time),
        format=_FORMATS[stored.format],
        lineage=_lineage(stored),
        teacher=_settings(stored.teacher) if stored.teacher else None,
        split_seed=stored.split_seed,
    )


def finding(found: Finding) -> pb.DatasetFinding:
    """One finding."""
    return pb.DatasetFinding(
        row_number=found.row_number,
        reason=found.reason,
        path=found.path,
        message=found.message,
        blocking=found.blocking,
        severity=_SEVERITIES[found.severity],
        remedy=found.remedy,
        related_rows=found.related_rows,
    )


def steps(values: Iterable[pb.CurationStep.ValueType]) -> list[CurationStep]:
    """What to do with the rows. Raises `InvalidInput` for a step that this server does not know."""
    wanted = list(values)
    for value in wanted:
        if value not in _KNOWN_STEPS:
            raise invalid_field("steps", f"must be of {', '.join(CurationStep)}, got number {value}")
    return [_KNOWN_STEPS[value] for value in wanted]


def max_row_tokens(request: dataset_service_pb2.CurateGoldenDatasetRequest) -> int | None:
    """The most tokens of a row; None if the request has no limit."""
    return request.max_row_tokens if request.HasField("max_row_tokens") else None


def change(told: ToldChange) -> pb.DatasetChange:
    """One change."""
    made = told.change
    return pb.DatasetChange(
        row_number=made.row_number,
        step=_STEPS[made.step],
        before_digest=made.before,
        after_digest=made.after,
        message=made.message,
        before=_row_text(told.before) if told.before else None,
        after=_row_text(told.after) if told.after else None,
    )


def _row_text(text: RowText) -> pb.RowText:
    return pb.RowText(input=text.input, output=text.output, left_out_bytes=text.left_out_bytes)


def _teacher(message: pb.TeacherSettings) -> TeacherSettings:
    """What is left out has its default; 0 is none of these that could be meant."""
    wanted = TeacherSettings(message.teacher)
    return TeacherSettings(
        teacher=message.teacher,
        examples=message.examples,
        example_count=message.example_count or wanted.example_count,
        sample_count=message.sample_count or wanted.sample_count,
        min_agreement=message.min_agreement or wanted.min_agreement,
        seed=message.seed,
    )


def _settings(settings: TeacherSettings) -> pb.TeacherSettings:
    return pb.TeacherSettings(**dataclasses.asdict(settings))


def _lineage(stored: Dataset) -> pb.DatasetLineage | None:
    if stored.lineage is None and stored.labelling is None:
        return None
    found = stored.lineage or Lineage("", "", (), "")
    return pb.DatasetLineage(
        source=found.source,
        source_digest=found.source_digest,
        steps=[_STEPS[step] for step in found.steps],
        max_row_tokens=found.max_row_tokens,
        teacher=_labelling(stored.labelling, stored.content_digest) if stored.labelling else None,
    )


def _labelling(labelling: Labelling, content_digest: str) -> pb.TeacherLineage:
    return pb.TeacherLineage(
        **dataclasses.asdict(labelling.settings),
        kind=labelling.kind.value,
        models=labelling.models,
        instructions_digest=labelling.instructions_digest,
        answers_digest=labelling.answers,
        answer_count=labelling.answer_count,
        content_digest=content_digest,
    )


def _report(report: Report) -> pb.DatasetReport:
    return pb.DatasetReport(
        row_count=report.row_count,
        train_count=report.train_count,
        holdout_count=report.holdout_count,
        invalid_count=report.invalid_count,
        finding_counts=report.finding_counts,
        token_lengths=_token_lengths(report.token_lengths) if report.token_lengths else None,
        severity_counts=report.severity_counts,
        personal_data_kinds=report.personal_data_kinds,
        synthetic=_synthetic(report.synthetic) if report.synthetic else None,
        distinct_output_count=report.distinct_output_count,
        canonicalized_count=report.canonicalized_count,
    )


def _synthetic(report: SyntheticReport) -> pb.SyntheticReport:
    return pb.SyntheticReport(
        unlabelled_count=report.unlabelled_count,
        synthetic_count=report.kept_count,
        dropped_counts=report.dropped_counts,
    )


def _token_lengths(lengths: TokenLengths) -> pb.TokenLengths:
    return pb.TokenLengths(
        prompt=_quantiles(lengths.prompt),
        completion=_quantiles(lengths.completion),
        total=_quantiles(lengths.total),
        context_tokens=lengths.context_tokens,
        instruction_tokens=lengths.instruction_tokens,
        row_count=lengths.row_count,
        token_count=lengths.token_count,
        learned_token_count=lengths.learned_token_count,
        train_token_count=lengths.train_token_count,
        longest_train_tokens=lengths.longest_train_tokens,
        base_model_digest=lengths.base_model_digest,
    )


def _quantiles(quantiles: Quantiles) -> pb.TokenQuantiles:
    return pb.TokenQuantiles(p50=quantiles.p50, p95=quantiles.p95, p99=quantiles.p99, max=quantiles.max)
