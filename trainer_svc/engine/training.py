"""The training loop: transformers' Trainer with our loss, our events, and resumption from the last whole checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed

from shared.adapter.validate import TARGET_MODULES
from shared.errors import InvalidInput
from trainer_svc.curation.compiled_example import IGNORED, Example
from trainer_svc.domain.plan import WARMUP_RATIO, TrainingPlan
from trainer_svc.domain.run import Cancelled
from trainer_svc.engine.base import best_device, compute_dtype
from trainer_svc.engine.checkpoint import checkpoint_folder, last_whole, seal
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.loss import completion_loss

_CHECKPOINTS_PER_RUN = 10
"""At least; a short run is over before the clock asks for one."""
_CHECKPOINT_SECONDS = 5.0
"""Work that a kill may cost; writing takes 0.05 s for the shipped base."""
_MAX_CHECKPOINT_RATIO = 0.05
"""Share of the time that may go into checkpoints: for large bases their size decides, not the clock above."""


class AdapterTrainer(Trainer):
    """Trainer whose loss is `completion_loss` over the tokens of the whole optimizer step."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.model_accepts_loss_kwargs = True  # asks the loop to count the step's label tokens for compute_loss

    def compute_loss(
        self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Mean loss per label token of the optimizer step."""
        total = completion_loss(model, inputs["input_ids"], inputs["attention_mask"], inputs["labels"])
        count = num_items_in_batch if num_items_in_batch is not None else (inputs["labels"] != IGNORED).sum()
        return total / count


class _Reporter(TrainerCallback):
    """Events, cancellation, divergence, and when a checkpoint is due."""

    def __init__(self, journal: Journal, is_cancelled: Callable[[], bool]) -> None:
        self._journal, self._is_cancelled = journal, is_cancelled
        self._saved_at, self._save_seconds, self._step_ended_at = time.monotonic(), 0.0, 0.0
        self.cancelled = False

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._check(control)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._check(control)
        self._step_ended_at = time.monotonic()
        # Where checkpoints fall changes no weight: saving reads the model and draws no random number.
        pause = max(_CHECKPOINT_SECONDS, self._save_seconds / _MAX_CHECKPOINT_RATIO)
        if self._step_ended_at - self._saved_at >= pause:
            control.should_save = True

    def _check(self, control: Any) -> None:
        if self._is_cancelled():
            self.cancelled = True
            control.should_training_stop = True
            control.should_save = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        loss = (logs or {}).get("loss")
        if loss is None:
            return
        if not math.isfinite(loss):
            raise InvalidInput(
                "LOSS_DIVERGED", f"the loss is {loss} at step {state.global_step}", hint="lower the learning rate"
            )
        self._journal.progress(state.global_step, state.max_steps, loss, state.epoch or 0.0)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        seal(checkpoint_folder(Path(args.output_dir), state.global_step))
        self._journal.checkpoint(state.global_step)
        self._saved_at = time.monotonic()
        self._save_seconds = self._saved_at - self._step_ended_at


def train_adapter(
    base: Any, examples: Sequence[Example], plan: TrainingPlan, *, seed: int, checkpoints: Path, journal: Journal,
    is_cancelled: Callable[[], bool],
) -> Any:  # fmt: skip  # models of transformers and peft
    """Trains a LoRA adapter on the base and returns the PEFT model.

    Same base, examples, plan, seed, thread count and machine type give the same weights, interrupted or not: the seed
    is set before the adapter is initialised, and checkpoints hold optimizer, schedule and random state.

    Raises:
        Cancelled: `is_cancelled` said so; a checkpoint of the last step is on disk.
        InvalidInput: LOSS_DIVERGED.
    """
    set_seed(seed)
    config = LoraConfig(
        r=plan.rank,
        lora_alpha=plan.alpha,  # type: ignore[arg-type]  # any number works, and is stored as it is
        target_modules=list(TARGET_MODULES),
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(base, config)
    reporter = _Reporter(journal, is_cancelled)
    trainer = AdapterTrainer(
        model=model,
        args=_arguments(plan, seed, checkpoints),
        train_dataset=[{"input_ids": list(e.input_ids), "labels": list(e.labels)} for e in examples],
        data_collator=_collate,
        callbacks=[reporter],
    )
    trainer.remove_callback(PrinterCallback)
    newest = last_whole(checkpoints)
    trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    if reporter.cancelled:
        raise Cancelled
    return trainer.model


def _arguments(plan: TrainingPlan, seed: int, checkpoints: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=plan.batch_size,
        num_train_epochs=plan.epoch_count,
        learning_rate=plan.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=math.ceil(WARMUP_RATIO * plan.step_count),
        weight_decay=0.0,
        max_grad_norm=1.0,
        bf16=compute_dtype() is torch.bfloat16,
        use_cpu=best_device().type == "cpu",
        train_sampling_strategy="group_by_length",
        seed=seed,
        data_seed=seed,
        logging_steps=5,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=max(5, plan.step_count // _CHECKPOINTS_PER_RUN),
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
    )


def _collate(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """Pads on the right, where a causal model needs no mask for correctness."""
    width = max(len(row["input_ids"]) for row in rows)
    ids, labels, mask = [], [], []
    for row in rows:
        gap = width - len(row["input_ids"])
        ids.append(row["input_ids"] + [0] * gap)
        labels.append(row["labels"] + [IGNORED] * gap)
        mask.append([1] * len(row["input_ids"]) + [0] * gap)
    return {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels), "attention_mask": torch.tensor(mask)}
