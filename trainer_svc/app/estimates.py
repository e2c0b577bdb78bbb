"""What a training job would take and cost, before it is queued."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable

from sqlalchemy import Connection

from shared.base_model import BaseModel
from shared.errors import StateConflict, Unavailable
from shared.names import AdapterName, DatasetName, TenantName, invalid_field
from trainer_svc.app.calibrator import Calibrator, Wanted
from trainer_svc.app.free_memory import free_bytes
from trainer_svc.app.jobs import check_spec
from trainer_svc.domain.batch import padded_tokens, width_of
from trainer_svc.domain.dataset import Dataset, DatasetState, Report
from trainer_svc.domain.early_stopping import check_rows_set_aside, is_enough, wanted_rows
from trainer_svc.domain.estimate import Estimate, Price, Usage, Work, estimate
from trainer_svc.domain.evaluation import answered_rows, scored_rows
from trainer_svc.domain.job import JobSpec
from trainer_svc.domain.plan import TrainingPlan, patience_of, plan_training
from trainer_svc.domain.registry import compared_alias
from trainer_svc.domain.token_length import TokenLengths
from trainer_svc.store import calibration, catalog, shelf
from trainer_svc.store.database import Database

_CPU = "cpu"


class Estimates:
    """Tells it from what runs and calibrations took on this machine, and from nothing else."""

    def __init__(
        self, database: Database, base: BaseModel, *, threads: int, price: Price, calibrator: Calibrator | None,
        processes: int = 1, free_memory: Callable[[], int] = free_bytes,
    ) -> None:  # fmt: skip
        """`calibrator` is None on a server that runs no jobs."""
        self._database, self._base, self._threads, self.price = database, base, threads, price
        self._processes = processes
        self._calibrator, self._free_memory = calibrator, free_memory

    async def of_job(
        self, parent: TenantName, dataset: str, spec: JobSpec, *, adapter: str = "", alias_id: str = "",
        base_revision: str = "", calibrate: bool = False,
    ) -> tuple[Estimate, TrainingPlan]:  # fmt: skip
        """The estimate, and the settings it was made for: the spec with what it leaves open filled in.

        What is live under the adapter's alias answers held-out rows, too; without an adapter nothing is.

        With `calibrate` it rests on a measurement of this job's own steps and answers, and on nothing else.

        Raises:
            InvalidInput: a setting is out of range, dataset or adapter is another tenant's, or a base revision is set.
            NotFound: the dataset does not exist.
            StateConflict: it is not active or was not measured, or no run like this one has been measured yet, as those
                of several processes never are; or its rows were measured for another base model.
            DomainError: as `Calibrator.measure`.
        """
        if self._processes > 1:
            raise StateConflict("NOT_MEASURED", f"trainings in {self._processes} processes, as here, are not measured")
        name = DatasetName.parse(dataset, "job.dataset")
        if name.tenant != parent.tenant:
            raise invalid_field("job.dataset", "belongs to another tenant")
        own = AdapterName.parse(adapter, "job.adapter") if adapter else None
        if own is not None and own.tenant != parent.tenant:
            raise invalid_field("job.adapter", "belongs to another tenant")
        if base_revision:
            raise invalid_field(
                "job.base_revision",
                "is not read by an estimate: leave it out, and set spec.rank and spec.alpha to those of the revision",
            )
        check_spec(spec)

        def work(connection: Connection) -> tuple[Dataset, bool, list[Usage]]:
            stored = catalog.get_dataset(connection, name)
            live = own is not None and shelf.find_alias(connection, compared_alias(own, alias_id)) is not None
            return stored, live, calibration.list_usages(connection, self._base.digest, spec.mode, self._threads)

        stored, has_live, runs = await self._database.run(work)
        wanted, plan = _work(stored, spec, self._base, has_live=has_live)
        if calibrate:
            runs = [await self._measured(Wanted(stored, spec, plan))]
        if not runs:
            raise StateConflict(
                "NOT_MEASURED",
                f"no {spec.mode} run of {self._base.model_id} with {self._threads} threads was measured here yet",
                hint="set calibrate, or let one job run to its end: its measures are kept, and any dataset will do",
                metadata={"mode": spec.mode.value, "threads": str(self._threads)},
            )
        found = estimate(wanted, plan.rank, runs, is_calibrated=calibrate)
        available = await asyncio.to_thread(self._free_memory) if runs[-1].device == _CPU else runs[-1].free_bytes
        return dataclasses.replace(found, available_bytes=available), plan

    async def _measured(self, wanted: Wanted) -> Usage:
        if self._calibrator is None:
            raise Unavailable("NOT_SERVING", "this server runs no training jobs, so that it measures none")
        return await self._calibrator.measure(wanted)


def _work(dataset: Dataset, spec: JobSpec, base: BaseModel, *, has_live: bool) -> tuple[Work, TrainingPlan]:
    report = dataset.report
    if dataset.state is not DatasetState.ACTIVE or report is None:
        raise StateConflict(
            "STATE_CONFLICT",
            f"{dataset.name} is {dataset.state}, only an active dataset can be estimated",
            hint="seal it, and mend the rows that ListDatasetFindings names",
            metadata={"state": dataset.state.value},
        )
    lengths = _lengths(dataset.name, report, base)
    validating = _validating_rows(spec, report)
    count = report.train_count - validating
    plan = plan_training(
        spec, train_count=count, hidden_size=base.hidden_size, model_type=base.model_type,
        validation_row_count=validating,
    )  # fmt: skip
    rows, checkpoints = min(plan.batch_size, count), plan.evaluated_checkpoint_count
    answers = plan.validation_answer_count + answered_rows(
        report.holdout_count, count, checkpoints, has_instructions=bool(dataset.instruction_prompt), has_live=has_live
    )
    work = Work(
        epoch_tokens=round(lengths.train_token_count * count / report.train_count),
        epoch_count=plan.epoch_count,
        step_count=plan.step_count,
        batch_tokens=rows * width_of(lengths.longest_train_tokens),
        scored_count=scored_rows(report.holdout_count, checkpoints),
        padded_tokens=_padded_tokens(lengths, count, plan),
        answer_tokens=round(answers * lengths.learned_token_count / lengths.row_count),
        validation_count=plan.validation_count,
        checkpoint_count=checkpoints,
        base_bytes=base.weights_bytes,
    )
    return work, plan


def _lengths(name: str, report: Report, base: BaseModel) -> TokenLengths:
    lengths = report.token_lengths
    if lengths is None:
        raise StateConflict(
            "NOT_MEASURED",
            f"{name} was sealed before rows were measured in tokens",
            hint="upload it again under a new id",
        )
    if lengths.base_model_digest not in ("", base.digest):
        raise StateConflict(
            "NOT_MEASURED",
            f"{name} was measured in tokens of another base model, {lengths.base_model_digest}: this server has "
            f"{base.digest}",
            hint="make a new dataset of it with CurateGoldenDataset, or upload it again under a new id",
            metadata={"dataset_base_model_digest": lengths.base_model_digest, "base_model_digest": base.digest},
        )
    return lengths


def _validating_rows(spec: JobSpec, report: Report) -> int:
    """As many as a run sets aside where rows are not alike; it may stop early, which no estimate foresees."""
    if not patience_of(spec):
        return 0
    synthetic = report.synthetic.kept_count if report.synthetic else 0
    count = min(wanted_rows(report.train_count), report.train_count - synthetic)
    if spec.early_stopping_patience:
        check_rows_set_aside(count, report.train_count, synthetic)
    return count if is_enough(count) else 0


def _padded_tokens(lengths: TokenLengths, count: int, plan: TrainingPlan) -> int:
    """Of `count` rows in all epochs.

    Without padding where an earlier release kept no lengths: grouped by length, rows have little.
    """
    if not lengths.train_lengths:
        return lengths.train_token_count * plan.epoch_count
    return padded_tokens(lengths.train_lengths, count, plan.batch_size) * plan.epoch_count
