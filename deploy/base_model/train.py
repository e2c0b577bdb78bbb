"""The training loop: a limit on wall time, a learning-rate schedule that fits it, the loss of each task."""

import time
from collections import defaultdict
from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from transformers import LlamaForCausalLM

from deploy.base_model.batch import NO_TARGET, Batch, batches
from deploy.base_model.optimizer import Muon

MATRIX_RATE: Final = 0.02
OTHER_RATE: Final = 3e-3
_WARM_STEPS: Final = 30
_DECAY_SHARE: Final = 0.45  # of the time at the end, in which the rates fall linearly to zero
_LOG_STEPS: Final = 25
_SAVE_SECONDS: Final = 300


class Outcome(NamedTuple):
    """How far a run came; padding counts as tokens."""

    steps: int
    tokens: int


def rate_factor(step: int, done_ratio: float) -> float:
    """Returns the factor on both learning rates: linear warm-up, constant, linear decay to zero."""
    return min(1.0, (step + 1) / _WARM_STEPS) * min(1.0, (1 - done_ratio) / _DECAY_SHARE)


def target_losses(model: LlamaForCausalLM, batch: Batch) -> Tensor:
    """Returns the cross-entropy in nats at each target token, row by row. Logits exist for targets only."""
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(input_ids=batch.ids_BT, use_cache=False).last_hidden_state
        logits = model.lm_head(hidden[batch.labels_BT != NO_TARGET])
    return functional.cross_entropy(logits.float(), batch.labels_BT[batch.labels_BT != NO_TARGET], reduction="none")


class LossLog:
    """Mean loss of each task since the last line."""

    def __init__(self) -> None:
        self.losses: dict[str, list[float]] = defaultdict(list)

    def add(self, batch: Batch, losses: Tensor) -> None:
        """Adds the mean loss of every row."""
        counts = (batch.labels_BT != NO_TARGET).sum(1).tolist()
        for task, row in zip(batch.tasks, torch.split(losses.detach(), counts), strict=True):
            self.losses[task].append(float(row.mean()))

    def line(self) -> str:
        """Returns the means and begins anew."""
        text = " ".join(f"{task} {sum(values) / len(values):.3f}" for task, values in sorted(self.losses.items()))
        self.losses.clear()
        return text


def train(
    model: LlamaForCausalLM, tokenizer: Tokenizer, *, minutes: float, seed: int, save: Callable[[], None]
) -> Outcome:
    """Trains until the time is up; `save` is called every five minutes and at the end."""
    matrices = [
        weight
        for name, weight in model.named_parameters()
        if weight.ndim == 2 and "embed" not in name and "lm_head" not in name
    ]
    others = [weight for weight in model.parameters() if not any(weight is matrix for matrix in matrices)]
    muon, adam = (
        Muon(matrices, MATRIX_RATE),
        torch.optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    )
    begun = saved = time.monotonic()
    steps = tokens = 0
    log = LossLog()
    for batch in batches(tokenizer, Random(seed)):
        done_ratio = (time.monotonic() - begun) / (60 * minutes)
        if done_ratio >= 1:
            break
        factor = rate_factor(steps, done_ratio)
        muon.param_groups[0]["lr"], adam.param_groups[0]["lr"] = MATRIX_RATE * factor, OTHER_RATE * factor
        losses = target_losses(model, batch)
        losses.mean().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in (muon, adam):
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        steps, tokens = steps + 1, tokens + batch.ids_BT.numel()
        log.add(batch, losses)
        if steps % _LOG_STEPS == 0:
            seconds = time.monotonic() - begun
            pace = f"min {seconds / 60:.1f} tok {tokens / 1e6:.2f}M {tokens / seconds:.0f}/s"
            print(f"step {steps} {pace} lr {factor:.2f} | {log.line()}", flush=True)
        if time.monotonic() - saved > _SAVE_SECONDS:
            save()
            saved = time.monotonic()
    save()
    return Outcome(steps, tokens)
