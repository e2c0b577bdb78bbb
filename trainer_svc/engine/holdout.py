"""Loss of a model on rows that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from shared.prompt import PromptRenderer
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.engine.loss import completion_loss


@torch.inference_mode()
def holdout_loss(
    model: Any, renderer: PromptRenderer, context_tokens: int, holdout: Sequence[CheckedRow]
) -> float:  # a PEFT model
    """Mean loss per label token over the rows that could have been trained on; the report named the others."""
    total, count = 0.0, 0
    for compiled in ExampleCompiler(renderer, context_tokens).compile(holdout):
        example = compiled.example
        if example is None or compiled.faults:
            continue
        ids, labels = torch.tensor([example.input_ids, example.labels], device=model.device)[:, None]
        total += float(completion_loss(model, ids, labels))
        count += example.completion_length
    return total / count if count else 0.0
