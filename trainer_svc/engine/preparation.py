"""What a run stands on, proved before a step is taken: settings, contract, every example. Loads no torch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.base_model import BaseModel
from shared.contracts.compiled import CompiledContract
from shared.contracts.compiler import ContractCompiler
from shared.contracts.spec import ContractKind, ContractSpec
from shared.digest import sha256_bytes
from shared.errors import InternalFault, InvalidInput
from shared.names import invalid_field
from shared.prompt import PromptRenderer
from trainer_svc.curation.compiled_example import Example, compile_examples
from trainer_svc.curation.likeness import cluster, find_links
from trainer_svc.curation.row_file import load_rows
from trainer_svc.curation.split import set_aside
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.domain.early_stopping import check_rows_set_aside, is_enough, wanted_rows
from trainer_svc.domain.plan import TrainingPlan, patience_of, plan_training, settings
from trainer_svc.domain.run import RunFolder, RunSpec
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.start import adopt
from trainer_svc.evaluation.benchmark import Benchmark, load_benchmarks
from trainer_svc.evaluation.database import open_database

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """Inputs of a run, as the steps need them."""

    spec: RunSpec
    """With rank and alpha of the revision to begin with, where there is one."""
    base: BaseModel
    renderer: PromptRenderer
    contract: CompiledContract
    plan: TrainingPlan
    examples: list[Example]
    validation: list[CheckedRow]
    """Rows of the train split that are set aside, where the plan validates on the way."""
    train: list[CheckedRow]
    """Golden rows that are trained on; a teacher's are not among them."""
    holdout: list[CheckedRow]
    benchmarks: tuple[Benchmark, ...]
    """The operator's."""
    row_digests: Mapping[str, str]
    """Of both files of rows as they were read, by the manifest's names."""


def prepare(spec: RunSpec, folder: RunFolder, journal: Journal | None) -> Prepared:
    """Reads and proves everything, and tells the journal, where there is one, the settings as filled in.

    Raises:
        DomainError: the dataset or the settings do not allow the run.
    """
    base = BaseModel.load(Path(spec.base_model_dir))
    renderer = PromptRenderer.load(base)
    spec = adopt(spec, folder, base, renderer)
    (train, train_digest), (holdout, holdout_digest) = map(_read, (folder.train_rows, folder.holdout_rows))
    compiled = compile_examples(train, renderer, base.max_positions)
    aside = _set_aside(train, spec)
    examples = [example for place, example in enumerate(compiled) if place not in aside]
    validation = [row for place, row in enumerate(train) if place in aside]
    contract = ContractCompiler(Path(spec.contract_cache_dir), base.vocabulary()).compile(
        ContractSpec.from_canonical(spec.contract.encode())
    )
    plan = plan_training(
        spec, train_count=len(examples), hidden_size=base.hidden_size, model_type=base.model_type,
        validation_row_count=len(validation),
    )  # fmt: skip
    if plan.rank > spec.max_lora_rank:
        raise invalid_field("job.spec.rank", f"is {plan.rank}, the largest that is served is {spec.max_lora_rank}")
    if spec.processes > 1 and plan.batch_size % spec.processes:
        message = f"is {plan.batch_size}, which the {spec.processes} processes of a training here cannot share evenly"
        raise invalid_field("job.spec.batch_size", message)
    if journal is not None:
        journal.settings(settings(plan, spec))
    if contract.spec.kind is ContractKind.SQL and spec.database_sql:
        with open_database(contract.spec.ddl, spec.database_sql):
            pass  # a database that cannot be built is told now, not after the training
    digests = {"train_rows_digest": train_digest, "holdout_rows_digest": holdout_digest}
    known = [row for place, row in enumerate(train) if place not in aside and not row.synthetic]
    return Prepared(
        spec, base, renderer, contract, plan, examples, validation, known, holdout, _benchmarks(spec), digests
    )  # fmt: skip


def _benchmarks(spec: RunSpec) -> tuple[Benchmark, ...]:
    """Read before the training, and no fault of the tenant's: the service could read them when it started."""
    try:
        return load_benchmarks(Path(spec.benchmark_dir)) if spec.benchmark_dir else ()
    except InvalidInput as err:
        _log.exception("benchmark files cannot be read")
        raise InternalFault(
            "INTERNAL", "the operator's benchmark files cannot be read, see the log of the run"
        ) from err


def _read(path: Path) -> tuple[list[CheckedRow], str]:
    data = path.read_bytes()
    return load_rows(data), sha256_bytes(data)


def _set_aside(train: list[CheckedRow], spec: RunSpec) -> set[int]:
    """Places of the rows to validate on; none where the job does not stop early.

    Raises:
        InvalidInput: FIELD_INVALID, the job sets a patience and has too few rows; that of its preset is off then.
    """
    wanted = wanted_rows(len(train)) if patience_of(spec) else 0
    places = set_aside(train, cluster(len(train), find_links(train)), wanted, spec.seed) if wanted else set[int]()
    if is_enough(len(places)):
        return places
    if spec.early_stopping_patience:
        check_rows_set_aside(len(places), len(train), sum(row.synthetic for row in train))
    return set()
