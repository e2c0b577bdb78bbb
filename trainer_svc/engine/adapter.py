"""A new adapter on a base model: allow-listed LoRA settings only, so that what is trained can be served."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from peft import EvaConfig, LoraConfig, get_peft_model, initialize_lora_eva_weights
from peft.tuners.tuners_utils import cast_adapter_dtype

from shared.architecture import architecture_of
from shared.names import invalid_field
from trainer_svc.curation.compiled_example import Example
from trainer_svc.domain.plan import TrainingPlan
from trainer_svc.domain.run import Cancelled, Initialization
from trainer_svc.engine.attention import use_short_row_attention
from trainer_svc.engine.batching import collate
from trainer_svc.engine.low_rank import use_low_rank_update

_INITIAL = {Initialization.KAIMING: True, Initialization.GAUSSIAN: "gaussian", Initialization.EVA: "eva"}
_EVA_ROWS_PER_RANK = 16
"""Rows that EVA sees, of which `rank` directions are wanted."""
_EVA_TOKENS_PER_RANK = 4
"""Of a batch: the library passes over those with fewer tokens than the rank."""
_EVA_MAX_BATCHES = 256
"""It looks at batches until the directions stay the same, which takes about 24; where they never do, for ever."""


def new_adapter(
    base: Any, examples: Sequence[Example], plan: TrainingPlan, is_cancelled: Callable[[], bool] = lambda: False
) -> Any:  # transformers and PEFT models
    """The base with an untrained adapter. Set the seed before: it is drawn from.

    Raises:
        Cancelled: `is_cancelled` said so.
        InvalidInput: FIELD_INVALID, EVA finds no directions in these rows.
    """
    is_eva = plan.initialization is Initialization.EVA
    config = LoraConfig(
        r=plan.rank,
        lora_alpha=plan.alpha,  # type: ignore[arg-type]  # any number works, and is stored as it is
        use_rslora=plan.use_rslora,
        init_lora_weights=_INITIAL[plan.initialization],  # type: ignore[arg-type]  # the library's own words
        # rho 1 gives each layer the same rank: others would need a rank pattern, which is not served.
        eva_config=EvaConfig(rho=1.0, use_label_mask=False) if is_eva else None,
        target_modules=list(architecture_of(base.config.model_type).target_modules),
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(base, config, low_cpu_mem_usage=is_eva)
    if is_eva:
        batches, forward = list(_wide_batches(examples, plan)), _BoundedForward(is_cancelled)
        initialize_lora_eva_weights(model, batches, forward_fn=forward, show_progress_bar=False)
        # On a base in bfloat16 so are the matrices that EVA made, in which small steps are lost.
        cast_adapter_dtype(model, "default")
    use_low_rank_update(model)
    use_short_row_attention(model)
    return model


class _BoundedForward:
    """A pass over one batch, as often as a number of times: the library goes round and round the batches."""

    def __init__(self, is_cancelled: Callable[[], bool]) -> None:
        self._is_cancelled, self._count = is_cancelled, 0

    def __call__(self, model: Any, batch: dict[str, torch.Tensor]) -> Any:  # a PEFT model and its output
        """Hidden states only: labels in the batch would have the library compute logits of every token."""
        if self._is_cancelled():
            raise Cancelled
        if self._count == _EVA_MAX_BATCHES:
            message = f"EVA found no stable directions in {_EVA_MAX_BATCHES} batches of these rows: take KAIMING"
            raise invalid_field("job.spec.initialization", message)
        self._count += 1
        return model.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False)


def _wide_batches(examples: Sequence[Example], plan: TrainingPlan) -> Iterator[dict[str, torch.Tensor]]:
    """Of a step's rows, or of as many as have enough tokens."""
    rows: list[Example] = []
    for example in examples[: max(plan.batch_size, plan.rank * _EVA_ROWS_PER_RANK)]:
        rows.append(example)
        tokens = sum(len(row.input_ids) for row in rows)
        if len(rows) >= plan.batch_size and tokens >= _EVA_TOKENS_PER_RANK * plan.rank:
            yield collate(rows)
            rows = []
    if rows:
        yield collate(rows)
