"""The training loop: transformers' Trainer with our loss, our events, and resumption from the last whole checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft.optimizers import create_loraplus_optimizer
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed

from shared.errors import InvalidInput
from trainer_svc.curation.compiled_example import IGNORED, Example
from trainer_svc.domain.plan import TrainingPlan
from trainer_svc.domain.run import Cancelled
from trainer_svc.engine import process_group
from trainer_svc.engine.adapter import new_adapter
from trainer_svc.engine.base import best_device
from trainer_svc.engine.batching import LengthGroupedSampler, collate
from trainer_svc.engine.checkpoint import checkpoint_folder, last_whole, seal
from trainer_svc.engine.export import load_weights
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.loss import completion_loss
from trainer_svc.engine.validation import StoppedEarly, Validation, progress_of

FILLER = Example((0, 0), (IGNORED, IGNORED), 2)
"""Teaches nothing."""
_CHECKPOINTS_PER_RUN = 10
"""At least; a short run is over before the clock asks for one."""
_CHECKPOINT_SECONDS = 5.0
"""Work that a kill may cost; writing takes 0.05 s for the shipped base."""
_MAX_CHECKPOINT_RATIO = 0.05
"""Share of the time that may go into checkpoints: for large bases their size decides, not the clock above."""


class AdapterTrainer(Trainer):
    """Trainer with our loss (over the tokens of the whole optimizer step), our batches, and LoRA+ where asked for."""

    def __init__(self, *args: Any, loraplus_ratio: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._loraplus_ratio = loraplus_ratio
        self.model_accepts_loss_kwargs = True  # asks the loop to count the step's label tokens for compute_loss
        own: Any = self.model  # a PEFT model, which would write a text about itself into each checkpoint: 35 ms
        own.create_or_update_model_card = _write_nothing

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedSampler:
        rows: Any = train_dataset if train_dataset is not None else self.train_dataset
        lengths = [len(row.input_ids) for row in rows if row != FILLER]
        filler = rows.index(FILLER) if FILLER in rows else None
        sampler = LengthGroupedSampler(lengths, self.args.train_batch_size, self.args.seed, filler)
        self.add_callback(_EpochTeller(sampler))
        return sampler

    def create_optimizer(self, model: Any = None) -> Any:
        """Transformers' own choice; with LoRA+, the second matrices in a group with a higher rate."""
        if self.optimizer is None and self._loraplus_ratio != 1:
            own: Any = self.model  # a PEFT model
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, own)
            self.optimizer = create_loraplus_optimizer(own, kind, loraplus_lr_ratio=self._loraplus_ratio, **options)
        return super().create_optimizer()

    def compute_loss(
        self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Mean loss per label token of the optimizer step, to which other processes may add theirs."""
        loss = model if model is not self.model else partial(completion_loss, model)
        total = loss(inputs["input_ids"], inputs["labels"])
        count = num_items_in_batch if num_items_in_batch is not None else (inputs["labels"] != IGNORED).sum()
        mean: torch.Tensor = total / count * self.accelerator.num_processes  # gradients are averaged over processes
        return mean


def _write_nothing(*_: Any) -> None:
    pass


class _EpochTeller(TrainerCallback):
    """Tells the sampler which epoch begins.

    Where several processes go on within an epoch, what skips the batches that were seen hides the sampler from the
    loop, and it would give the first epoch's order again (accelerate 1.15, `DataLoaderShard.set_epoch`).
    """

    def __init__(self, sampler: LengthGroupedSampler) -> None:
        self._sampler = sampler

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._sampler.set_epoch(int(state.epoch or 0))


class _Reporter(TrainerCallback):
    """Events, cancellation, divergence, and when a checkpoint is due."""

    def __init__(self, journal: Journal, is_cancelled: Callable[[], bool]) -> None:
        self._journal, self._is_cancelled = journal, is_cancelled
        self._saved_at, self._save_seconds, self._step_ended_at = time.monotonic(), 0.0, 0.0
        self.cancelled = False

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._step_ended_at = time.monotonic()
        # Where checkpoints fall changes no weight: saving reads the model and draws no random number.
        pause = max(_CHECKPOINT_SECONDS, self._save_seconds / _MAX_CHECKPOINT_RATIO)
        stops, saves = process_group.any_of(self._is_cancelled(), self._step_ended_at - self._saved_at >= pause)
        if stops:
            self.cancelled = True
            control.should_training_stop = True
        if stops or saves:
            control.should_save = True
        # transformers logs each fifth step: a run whose last one is not told would look as if it had stopped early.
        control.should_log = control.should_log or state.global_step == state.max_steps

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        loss = (logs or {}).get("loss")
        if loss is None:
            return
        if not math.isfinite(loss):
            raise InvalidInput(
                "LOSS_DIVERGED", f"the loss is {loss} at step {state.global_step}", hint="lower the learning rate"
            )
        if state.is_world_process_zero:
            self._journal.progress(progress_of(state, loss))

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        process_group.wait_for_all()  # each process has written its random state
        if state.is_world_process_zero:
            seal(checkpoint_folder(Path(args.output_dir), state.global_step))
            self._journal.checkpoint(state.global_step)
        self._saved_at = time.monotonic()
        self._save_seconds = self._saved_at - self._step_ended_at


def train_adapter(  # noqa: PLR0913  # most of them keyword-only
    base: Any, examples: Sequence[Example], plan: TrainingPlan, *, seed: int, checkpoints: Path, journal: Journal,
    is_cancelled: Callable[[], bool], start: Path | None = None, validation: Validation | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> Any:  # fmt: skip  # models of transformers and peft
    """Trains a LoRA adapter on the base and returns the PEFT model.

    Same base, examples, plan, seed, thread count and machine type give the same weights, interrupted or not: the seed
    is set before the adapter is initialised, and checkpoints hold optimizer, schedule and random state. It begins with
    the weights in the folder `start`, where there is one, and else with those of an adapter that changes nothing. With
    `validation` the adapter to keep is the one that it kept, and not the model's.

    Raises:
        Cancelled: `is_cancelled` said so; a checkpoint of the last step is on disk.
        InvalidInput: LOSS_DIVERGED.
    """
    set_seed(seed)
    model = new_adapter(base, examples, plan, is_cancelled)
    if start is not None:
        load_weights(model, start)
    reporter = _Reporter(journal, is_cancelled)
    arguments = training_arguments(plan, seed, checkpoints)
    trainer = AdapterTrainer(
        model=model,
        args=arguments,
        # Each process must have its part of the last batch, too: accelerate would repeat rows.
        train_dataset=[*examples, FILLER] if arguments.world_size > 1 else list(examples),
        data_collator=collate,
        # Before the reporter, which times checkpoints from the end of the step on; what measures steps before all.
        callbacks=[*callbacks, *([validation] if validation else []), reporter],
        loraplus_ratio=plan.loraplus_ratio,
    )
    trainer.remove_callback(PrinterCallback)
    # What wraps the model to add up gradients sees only what goes through its call.
    if arguments.world_size > 1:
        model.forward = partial(completion_loss, model)
    newest = _newest(checkpoints)
    with suppress(StoppedEarly):
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    if reporter.cancelled or (validation is not None and validation.cancelled):
        raise Cancelled
    return trainer.model


def _newest(checkpoints: Path) -> Path | None:
    """The first process removes what is damaged before the others look."""
    found = last_whole(checkpoints) if process_group.is_first() else None
    process_group.wait_for_all()
    return found if process_group.is_first() else last_whole(checkpoints)


def training_arguments(plan: TrainingPlan, seed: int, checkpoints: Path) -> TrainingArguments:
    """The plan in the words of transformers."""
    return TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=plan.batch_size,
        num_train_epochs=plan.epoch_count,
        learning_rate=plan.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=plan.warmup_step_count,
        weight_decay=0.0,
        max_grad_norm=1.0,
        bf16=False,  # no autocast: the base has the type that it computes in, and the adapter's layers take its type
        use_cpu=best_device().type == "cpu",
        ddp_backend=process_group.backend(),
        ddp_find_unused_parameters=False,
        # A batch is what the plan says, however many processes share it.
        accelerator_config={"split_batches": True},
        seed=seed,
        data_seed=seed,
        logging_steps=5,
        logging_first_step=True,  # it is the widest: its peak memory is that of the training
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=max(5, plan.step_count // _CHECKPOINTS_PER_RUN),
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
    )
