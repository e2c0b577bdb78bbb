"""Golden datasets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from goldsmith.trainer.v1 import golden_dataset_pb2 as pb
from shared.names import DatasetName, invalid_field
from trainer_svc.domain.dataset import Dataset, DatasetState, Finding, InvalidRowPolicy, Report
from trainer_svc.domain.finding_kind import FINDING_KINDS, FindingFilter, Severity
from trainer_svc.translate.time import timestamp

_STATES = {state: pb.GoldenDatasetState.Value(f"GOLDEN_DATASET_STATE_{state.name}") for state in DatasetState}
_POLICIES = {
    pb.INVALID_ROW_POLICY_UNSPECIFIED: InvalidRowPolicy.REFUSE,
    pb.INVALID_ROW_POLICY_REFUSE: InvalidRowPolicy.REFUSE,
    pb.INVALID_ROW_POLICY_EXCLUDE: InvalidRowPolicy.EXCLUDE,
}

_SEVERITIES = {severity: pb.FindingSeverity.Value(f"FINDING_SEVERITY_{severity.name}") for severity in Severity}
_LEAST = {number: severity for severity, number in _SEVERITIES.items()}


def new_dataset(name: DatasetName, message: pb.GoldenDataset, now: datetime) -> Dataset:
    """What a caller wants to create."""
    return Dataset(
        name=str(name),
        contract=message.contract,
        instruction_prompt=message.instruction_prompt,
        database_sql=message.database_sql,
        create_time=now,
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
    )


def _report(report: Report) -> pb.DatasetReport:
    return pb.DatasetReport(
        row_count=report.row_count,
        train_count=report.train_count,
        holdout_count=report.holdout_count,
        invalid_count=report.invalid_count,
        finding_counts=report.finding_counts,
        severity_counts=report.severity_counts,
        personal_data_kinds=report.personal_data_kinds,
    )
