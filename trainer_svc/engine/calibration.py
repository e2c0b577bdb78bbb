"""Measures what a job would take: a few of its own optimizer steps, and a few answers to its holdout."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import SequentialSampler
from transformers import PrinterCallback, TrainerCallback, set_seed

from trainer_svc.curation.compiled_example import Example
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.domain.run import Cancelled, Initialization, RunFolder, RunSpec
from trainer_svc.engine.adapter import new_adapter
from trainer_svc.engine.answering_stage import answer_prompt_sets
from trainer_svc.engine.base import load_base
from trainer_svc.engine.batching import collate
from trainer_svc.engine.canary import pick_canaries
from trainer_svc.engine.export import save_adapter
from trainer_svc.engine.forgetting import ForgettingGauge
from trainer_svc.engine.generation import MAX_BATCH_ROWS
from trainer_svc.engine.holdout import holdout_loss
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.packaging import draft_manifest
from trainer_svc.engine.preparation import Prepared, prepare
from trainer_svc.engine.prompt_set import PromptSet
from trainer_svc.engine.served import Server
from trainer_svc.engine.training import AdapterTrainer, training_arguments
from trainer_svc.engine.usage import Stopwatch

_PLACES = (0.0, 0.0, 0.5, 1.0, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875)
"""Of each batch among the rows, from the longest to the shortest. The first step is the widest, so that want of memory
shows at once, and warms up; the others are as wide as the steps of a run, in an order that drifts no way."""
_LEAST_STEPS = 4
"""The first one, and one each of the widest, the middle and the narrowest."""
_STEP_SECONDS = 60.0
"""After which no further step is begun: large bases take long, and repeat themselves more."""
_LEAST_LEARNING_RATE = 1e-3
"""So that even these few steps change what vLLM computes, which refuses an adapter that does not."""
_ANSWER_TOKENS = 48
_SCORED_ROWS = 16


def calibrate(spec: RunSpec, folder: RunFolder, journal: Journal, is_cancelled: Callable[[], bool]) -> None:
    """Takes the steps and gives the answers; the journal's usage tells of them. Nothing is kept of the adapter.

    EVA's look at the rows is left out: such a job begins that much later.

    Raises:
        DomainError: the dataset or the settings do not allow the job.
        Cancelled: asked to stop.
    """
    torch.set_num_threads(spec.threads)
    stopwatch = Stopwatch()
    ready = prepare(spec, folder, journal)
    rows = list(sample(ready.examples, ready.plan.batch_size))
    server = Server.of_run(ready, partial(_stop_if, is_cancelled))
    _train(ready, rows, stopwatch, folder, is_cancelled, partial(_validate, ready, stopwatch, server, folder.candidate))
    _evaluate(ready, stopwatch, server, folder)
    read = rows[: ready.plan.batch_size * len(stopwatch.gauge.steps)]
    trained = sum(len(row.input_ids) for row in read)
    journal.usage(stopwatch.usage(ready, trained_tokens=trained))


def sample(examples: Sequence[Example], batch_size: int) -> Iterator[Example]:
    """Rows of batches of every width there is, in the order in which they are measured."""
    ordered = sorted(examples, key=lambda example: len(example.input_ids), reverse=True)
    last = max(0, len(ordered) - batch_size)
    for place in _PLACES:
        begin = round(place * last)
        yield from ordered[begin : begin + batch_size]


class _Bounds(TrainerCallback):
    """Ends the steps when they take too long together, or when the run shall stop; validates after the last."""

    def __init__(self, is_cancelled: Callable[[], bool], validate: Callable[[Any], None]) -> None:
        self._is_cancelled, self._validate, self._begin = is_cancelled, validate, time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Called after each step."""
        is_long = time.monotonic() - self._begin >= _STEP_SECONDS and state.global_step >= _LEAST_STEPS
        control.should_training_stop = control.should_training_stop or is_long or self._is_cancelled()
        if control.should_training_stop or state.global_step == state.max_steps:
            self._validate(model)


class _SampleTrainer(AdapterTrainer):
    """Takes the rows as they come."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        rows: Any = train_dataset if train_dataset is not None else self.train_dataset
        return SequentialSampler(rows)


def _train(  # a calibration's own
    ready: Prepared, rows: Sequence[Example], stopwatch: Stopwatch, folder: RunFolder,
    is_cancelled: Callable[[], bool], validate: Callable[[Any], None],
) -> None:  # fmt: skip  # `validate` takes a PEFT model
    plan = dataclasses.replace(
        ready.plan,
        batch_size=min(ready.plan.batch_size, len(ready.examples)),
        epoch_count=1,
        step_count=len(_PLACES),
        initialization=Initialization.KAIMING,
        learning_rate=max(ready.plan.learning_rate, _LEAST_LEARNING_RATE),
    )
    set_seed(ready.spec.seed)
    arguments = training_arguments(plan, ready.spec.seed, folder.checkpoints)
    arguments.save_strategy = "no"
    trainer = _SampleTrainer(
        model=new_adapter(load_base(ready.base.folder, ready.spec.mode), rows, plan),
        args=arguments,
        train_dataset=list(rows),
        data_collator=collate,
        callbacks=[stopwatch.gauge, _Bounds(is_cancelled, validate)],
        loraplus_ratio=plan.loraplus_ratio,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    if is_cancelled():
        raise Cancelled
    save_adapter(trainer.model, plan, ready.base, folder.adapter)


def _stop_if(is_cancelled: Callable[[], bool]) -> None:
    if is_cancelled():
        raise Cancelled


def _validate(ready: Prepared, stopwatch: Stopwatch, server: Server, candidate: Path, model: Any) -> None:
    """As a run does on the way, where it does: while the model that is trained is held, and with short answers."""
    if not ready.validation:
        return
    save_adapter(model, ready.plan, ready.base, candidate)
    with stopwatch.validating():
        served = server.load(candidate)
        began = time.monotonic()
        answers = server.answer(served, _longest(ready, ready.validation), _ANSWER_TOKENS)
        stopwatch.answered(time.monotonic() - began, sum(map(len, answers)))


def _evaluate(ready: Prepared, stopwatch: Stopwatch, server: Server, folder: RunFolder) -> None:
    """As a run would, on one batch and with short answers."""
    _measure(ready, stopwatch, server, folder.adapter)
    # Without canaries: whether an adapter of a few steps repeats any says nothing of the job.
    draft = draft_manifest(ready, folder, {})
    prompts = tuple(map(tuple, _longest(ready, ready.holdout)))
    asked = PromptSet("calibration.answers", str(folder.adapter), prompts, _ANSWER_TOKENS)
    answer_prompt_sets(ready, folder, server, draft, [asked], stopwatch, server.stop_if_asked)


def _measure(ready: Prepared, stopwatch: Stopwatch, server: Server, adapter: Path) -> None:
    """What needs the model itself, which is let go of in the end."""
    served = server.load(adapter)
    scored = ready.holdout[:_SCORED_ROWS]
    with stopwatch.scoring(len(scored)):
        holdout_loss(served, ready.renderer, ready.base.max_positions, scored)
    with stopwatch.measuring_forgetting():
        ForgettingGauge(server, ready.benchmarks).measure(served)
    pick_canaries(served, server, [ready.renderer.prompt_ids(row.input) for row in ready.holdout])


def _longest(ready: Prepared, rows: Sequence[CheckedRow]) -> list[list[int]]:
    """A batch of prompts."""
    return sorted((ready.renderer.prompt_ids(row.input) for row in rows), key=len)[-MAX_BATCH_ROWS:]
