"""A new adapter on a base model: allow-listed LoRA settings only, so that what is trained can be served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from peft import EvaConfig, LoraConfig, get_peft_model, initialize_lora_eva_weights

from shared.adapter.validate import TARGET_MODULES
from trainer_svc.curation.compiled_example import Example
from trainer_svc.domain.plan import TrainingPlan
from trainer_svc.domain.run import Initialization
from trainer_svc.engine.batching import collate

_INITIAL = {Initialization.KAIMING: True, Initialization.GAUSSIAN: "gaussian", Initialization.EVA: "eva"}
_EVA_ROWS_PER_RANK = 16
"""Rows that EVA sees: each has a hundred tokens or so to a layer, of which `rank` directions are wanted."""


def new_adapter(base: Any, examples: Sequence[Example], plan: TrainingPlan) -> Any:  # transformers and PEFT models
    """The base with an untrained adapter. Set the seed before: it is drawn from."""
    is_eva = plan.initialization is Initialization.EVA
    config = LoraConfig(
        r=plan.rank,
        lora_alpha=plan.alpha,  # type: ignore[arg-type]  # any number works, and is stored as it is
        use_rslora=plan.use_rslora,
        init_lora_weights=_INITIAL[plan.initialization],  # type: ignore[arg-type]  # the library's own words
        # rho 1 gives each layer the same rank: others would need a rank pattern, which is not served.
        eva_config=EvaConfig(rho=1.0) if is_eva else None,
        target_modules=list(TARGET_MODULES),
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(base, config, low_cpu_mem_usage=is_eva)
    if is_eva:
        _point_at_the_data(model, examples, plan)
    return model


def _point_at_the_data(model: Any, examples: Sequence[Example], plan: TrainingPlan) -> None:  # a PEFT model
    seen = examples[: max(plan.batch_size, plan.rank * _EVA_ROWS_PER_RANK)]
    batches = [collate(seen[i : i + plan.batch_size]) for i in range(0, len(seen), plan.batch_size)]
    initialize_lora_eva_weights(model, batches, forward_fn=_forward, show_progress_bar=False)


def _forward(model: Any, batch: dict[str, torch.Tensor]) -> Any:  # as above
    """Hidden states only: labels in the batch would have the library compute logits of every token."""
    return model.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False)
