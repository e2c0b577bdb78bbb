"""Everything that the report of a job tells, gathered by RPC."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from goldsmith.registry.v1 import adapter_pb2
from goldsmith.trainer.v1 import economics_pb2, evaluation_pb2, golden_dataset_pb2, training_job_pb2
from shared.client import Credentials, EconomicsClient, EvaluationClient, TrainerClient
from shared.errors import DomainError, StateConflict
from shared.names import JobName

_UNKNOWN_CALL = "UNIMPLEMENTED"
"""Reason that an older server answers a call with that it does not know."""


@dataclass(frozen=True)
class ReportSource:
    """The answers of the services, as they came. Field names are the first part of every path to a figure."""

    job: training_job_pb2.TrainingJob
    evaluation: evaluation_pb2.JobEvaluation
    rows: Sequence[evaluation_pb2.EvaluatedRow]
    """The worst answered held-out rows, the worst first."""
    progress: Sequence[training_job_pb2.TrainingProgress]
    """Of the optimizer steps, in rising order; a step that was repeated after a restart counts as it was done last."""
    dataset: golden_dataset_pb2.GoldenDataset
    findings: Sequence[golden_dataset_pb2.DatasetFinding]
    """The first of each kind, the gravest kinds first."""
    revision: adapter_pb2.AdapterRevision
    savings: economics_pb2.Savings | None
    """Of the revision; None where the server keeps no ledger."""

    @property
    def roots(self) -> Mapping[str, object]:
        """Messages by the first part of their fields' paths."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def document(self) -> dict[str, Any]:  # Any: what JSON holds
        """All of it for machines; a figure of the page is found here by its path."""
        return {name: _plain(value) for name, value in self.roots.items()}


def gather(job: JobName, address: str, credentials: Credentials | None, *, row_count: int) -> ReportSource:
    """Asks the trainer service for all of it.

    Raises:
        StateConflict: NOT_EVALUATED where the job has not succeeded, or did so under an earlier release.
        DomainError: what else the service answers.
    """
    name = str(job)
    with (
        TrainerClient(address, credentials) as trainer,
        EvaluationClient(address, credentials) as evaluations,
        EconomicsClient(address, credentials) as economics,
    ):
        own = _succeeded(trainer.job(name))
        dataset = trainer.dataset(own.dataset)
        return ReportSource(
            job=own,
            evaluation=evaluations.of_job(name),
            rows=tuple(itertools.islice(evaluations.rows(name), row_count)),
            progress=_by_step(event.progress for event in trainer.watch(name) if event.HasField("progress")),
            dataset=dataset,
            findings=_first_findings(trainer, dataset),
            revision=trainer.revision(own.revision),
            savings=savings_of(economics, own),
        )


def _succeeded(job: training_job_pb2.TrainingJob) -> training_job_pb2.TrainingJob:
    if job.state == training_job_pb2.TRAINING_JOB_STATE_SUCCEEDED:
        return job
    # A newer server may have more of them.
    names = {number: name for name, number in training_job_pb2.TrainingJobState.items()}
    state = names.get(job.state, str(job.state)).removeprefix("TRAINING_JOB_STATE_")
    failed, cancelled = training_job_pb2.TRAINING_JOB_STATE_FAILED, training_job_pb2.TRAINING_JOB_STATE_CANCELLED
    told = f": {job.failure.reason}, {job.failure.message}" if job.state == failed else ""
    final = job.state in (failed, cancelled)
    raise StateConflict(
        "NOT_EVALUATED",
        f"{job.name} is {state} and has nothing to report{told}",
        hint="only a job that succeeded has a report" if final else "ask again when it has succeeded",
        metadata={"state": state},
    )


def _by_step(told: Iterable[training_job_pb2.TrainingProgress]) -> tuple[training_job_pb2.TrainingProgress, ...]:
    last = {progress.step: progress for progress in told}
    return tuple(last[step] for step in sorted(last))


def _first_findings(
    trainer: TrainerClient, dataset: golden_dataset_pb2.GoldenDataset
) -> tuple[golden_dataset_pb2.DatasetFinding, ...]:
    kinds = dataset.report.finding_counts
    found = [next(iter(trainer.findings(dataset.name, reasons=[reason])), None) for reason in sorted(kinds)]
    told = [finding for finding in found if finding is not None]
    return tuple(sorted(told, key=lambda finding: (-finding.severity, -kinds[finding.reason])))


def savings_of(economics: EconomicsClient, job: training_job_pb2.TrainingJob) -> economics_pb2.Savings | None:
    """Of the job's revision; None from a server that does not know the call."""
    try:
        return economics.savings(job.adapter, revision=job.revision)
    except DomainError as err:
        if err.reason == _UNKNOWN_CALL:
            return None
        raise


def _plain(value: object) -> Any:
    if isinstance(value, Message):
        return MessageToDict(value, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    assert isinstance(value, tuple)
    return [_plain(each) for each in value]
