"""A report's source in which every field has a value of its own, so that no figure passes for another."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from goldsmith.registry.v1 import adapter_pb2, promotion_pb2
from goldsmith.trainer.v1 import economics_pb2, evaluation_pb2, golden_dataset_pb2, training_job_pb2
from shared.report import ReportSource

_MEMBERS = 2
_SHARES = {"value", "low", "high", "precision", "recall", "f1", "difference", "p_value"}
_JOB = "tenants/acme/jobs/first"
_REVISION = "tenants/acme/adapters/answer/revisions/3"


def filled_source(**changes: Any) -> ReportSource:
    """Of a job with a live revision, a base, a promotion and savings."""
    numbers = itertools.count(1)
    job = _filled(training_job_pb2.TrainingJob(), numbers)
    job.name, job.adapter, job.revision, job.alias_id = _JOB, "tenants/acme/adapters/answer", _REVISION, "live"
    job.state = training_job_pb2.TRAINING_JOB_STATE_SUCCEEDED
    job.promotion.mode = promotion_pb2.PROMOTION_MODE_LIVE
    for check in job.promotion.checks:
        check.reason = ""
    evaluation = _filled(evaluation_pb2.JobEvaluation(), numbers)
    evaluation.live_revision = "tenants/acme/adapters/answer/revisions/2"
    for place, checkpoint in enumerate(evaluation.checkpoints):
        checkpoint.published = place == 1
    for opponent in ("base", "live", "chance", "bare_base"):
        found = getattr(evaluation, f"against_{opponent}")
        found[0].metric, found[1].metric = "exact_match", "task_metric"
    dataset = _filled(golden_dataset_pb2.GoldenDataset(), numbers)
    findings = [_filled(golden_dataset_pb2.DatasetFinding(), numbers) for _ in range(_MEMBERS)]
    for finding in findings:
        dataset.report.finding_counts[finding.reason] = next(numbers)
    source = ReportSource(
        job=job,
        evaluation=evaluation,
        rows=tuple(_filled(evaluation_pb2.EvaluatedRow(), numbers) for _ in range(_MEMBERS)),
        progress=tuple(
            training_job_pb2.TrainingProgress(step=10 * step, train_loss=2.5 / step + 0.0001) for step in range(1, 31)
        ),
        dataset=dataset,
        findings=tuple(findings),
        revision=_filled(adapter_pb2.AdapterRevision(), numbers),
        savings=_filled(economics_pb2.Savings(), numbers),
    )
    return dataclasses.replace(source, **changes)


def _filled(message: Any, numbers: Iterator[int]) -> Any:  # Any: any kind of message
    for field in message.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        if field.is_repeated:
            _fill_members(message, field, numbers)
        elif field.message_type is not None:
            _fill_message(getattr(message, field.name), numbers)
        else:
            setattr(message, field.name, _value(field, numbers))
    return message


def _fill_members(message: Message, field: FieldDescriptor, numbers: Iterator[int]) -> None:
    members = getattr(message, field.name)
    for _ in range(_MEMBERS):
        if field.message_type is not None:
            _fill_message(members.add(), numbers)
        else:
            members.append(_value(field, numbers))


def _fill_message(message: Any, numbers: Iterator[int]) -> None:
    if message.DESCRIPTOR.full_name in ("google.protobuf.Timestamp", "google.protobuf.Duration"):
        message.seconds = 1_700_000_000 + 61 * next(numbers) if "Time" in message.DESCRIPTOR.name else next(numbers)
    else:
        _filled(message, numbers)


def _value(field: FieldDescriptor, numbers: Iterator[int]) -> object:
    number = next(numbers)
    kinds = FieldDescriptor
    if field.enum_type is not None:
        return field.enum_type.values[1].number
    if field.cpp_type in (kinds.CPPTYPE_DOUBLE, kinds.CPPTYPE_FLOAT):
        return number / 7919 if field.name in _SHARES else number / 3
    if field.cpp_type == kinds.CPPTYPE_BOOL:
        return True
    return f"{field.name} text {number}" if field.cpp_type == kinds.CPPTYPE_STRING else number
