"""Training of a run, from its examples to the adapter to keep: in this process, or in several."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from shared.errors import StateConflict
from shared.files import publish_folder
from trainer_svc.domain.run import Cancelled, RunFolder, RunSpec
from trainer_svc.engine import process_group
from trainer_svc.engine.base import check_projections, load_base
from trainer_svc.engine.export import save_adapter
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.milestones import Milestones
from trainer_svc.engine.preparation import Prepared, prepare
from trainer_svc.engine.served import Server
from trainer_svc.engine.training import train_adapter
from trainer_svc.engine.usage import Stopwatch
from trainer_svc.engine.validation import Validation
from trainer_svc.evaluation.score import score_rows
from trainer_svc.evaluation.summary import metrics_of


def train(
    ready: Prepared, folder: RunFolder, journal: Journal, is_cancelled: Callable[[], bool], stopwatch: Stopwatch
) -> None:
    """Leaves the adapter in the folder.

    Raises:
        Cancelled: asked to stop; a checkpoint of the last step is on disk.
        InvalidInput: LOSS_DIVERGED.
        ProcessFailed: one of several processes failed or was killed.
        StateConflict: STATE_CONFLICT, there are GPUs, but not one for each process.
    """
    if ready.spec.processes > 1:
        gpus = torch.cuda.device_count()
        if 0 < gpus < ready.spec.processes:
            message = f"the server trains in {ready.spec.processes} processes and has {gpus} GPUs for them"
            raise StateConflict("STATE_CONFLICT", message, hint="the operator may lower --training-processes")
        process_group.train_in_processes(folder, ready.spec.processes)
    else:
        _train(ready, folder, journal, is_cancelled, stopwatch)


def run_share(spec: RunSpec, folder: RunFolder, journal: Journal, is_cancelled: Callable[[], bool]) -> None:
    """Trains as one of several processes, of which the first leaves the adapter in the folder.

    Raises:
        Cancelled: one of them was asked to stop.
        InvalidInput: LOSS_DIVERGED.
    """
    torch.set_num_threads(spec.threads)
    with process_group.joined():
        _train(prepare(spec, folder, None), folder, journal, is_cancelled, Stopwatch())


def _train(
    ready: Prepared, folder: RunFolder, journal: Journal, is_cancelled: Callable[[], bool], stopwatch: Stopwatch
) -> None:
    validation = _validation(ready, folder, journal, is_cancelled, stopwatch) if ready.validation else None
    frozen = load_base(ready.base.folder, ready.spec.mode)
    check_projections(frozen, ready.base)
    model = train_adapter(
        frozen,
        ready.examples,
        ready.plan,
        seed=ready.spec.seed,
        checkpoints=folder.checkpoints,
        journal=journal,
        is_cancelled=is_cancelled,
        start=folder.start if ready.spec.start_digest else None,
        validation=validation,
        callbacks=[stopwatch.gauge, Milestones(folder, ready.plan.milestone_steps, partial(_save, ready))],
    )
    if process_group.is_first():
        if validation is None:
            save_adapter(model, ready.plan, ready.base, folder.adapter)
        else:
            publish_folder(folder.best, folder.adapter)


def _validation(
    ready: Prepared, folder: RunFolder, journal: Journal, is_cancelled: Callable[[], bool], stopwatch: Stopwatch
) -> Validation:
    prompts = [ready.renderer.prompt_ids(row.input) for row in ready.validation]
    golden = [row.output for row in ready.validation]

    def stop_if_cancelled() -> None:
        if is_cancelled():
            raise Cancelled

    server = Server.of_run(ready, stop_if_cancelled)

    def measure(adapter: Path) -> float:
        stop_if_cancelled()
        # The library draws the weights of an adapter before it reads them.
        with stopwatch.validating(), torch.random.fork_rng():
            served = server.load(adapter)
            began = time.monotonic()
            answers = server.answer(served, prompts)
            stopwatch.answered(time.monotonic() - began, sum(map(len, answers)))
            read = [server.read(answer) for answer in answers]
            contract = ready.contract
            rows = score_rows(contract.spec, contract.check, golden, read, database_sql=ready.spec.database_sql)
            return metrics_of(rows).task_metric.value

    return Validation(folder, ready.plan.early_stopping_patience, journal, save=partial(_save, ready), measure=measure)


def _save(ready: Prepared, model: Any, folder: Path) -> None:  # a PEFT model
    save_adapter(model, ready.plan, ready.base, folder)
