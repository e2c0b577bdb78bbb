"""Greedy generation in batches: under a contract what the inference service does, for evaluation and canaries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from trainer_svc.engine.decoding import Decoding

MAX_BATCH_ROWS = 64
"""A step of the shipped base takes about as long for 64 rows as for 16: calls, not arithmetic, cost the time."""
_CACHE_BYTES = 1 << 30
"""Keys and values of a batch: in bf16, 64 rows of the shipped base (4 KiB a token), about 10 of an 8 B Llama (128)."""
_COMPACT_RATIO = 0.75
"""Complete answers leave the batch once this share is left: selecting costs a copy of the cache, padding every step."""
_LEAST_SHARED = 64
"""Tokens. A hundred prompts of 1,120, of which 1,030 are the same, take 21 s to be answered in 57, without it 35."""
DEFAULT_OUTPUT_TOKENS = 512
"""The inference service's default."""


def generate(
    model: Any, decoding: Decoding, prompts: Sequence[Sequence[int]], context_tokens: int,
    before_batch: Callable[[], None] = lambda: None, *, output_tokens: int = DEFAULT_OUTPUT_TOKENS,
) -> list[list[int]]:  # fmt: skip  # a transformers model
    """Token ids of each prompt's answer, the stop token included; in the order of the prompts.

    A prompt that leaves less room than the shortest answer gets an empty one. `before_batch` may raise to stop between
    batches. An answer takes at most `output_tokens`, or the shortest answer's where that is more.
    """
    answers: list[list[int]] = [[] for _ in prompts]
    most = max(output_tokens, decoding.min_tokens)
    fitting = (i for i, prompt in enumerate(prompts) if context_tokens - len(prompt) >= decoding.min_tokens)
    order = sorted(fitting, key=lambda index: len(prompts[index]))
    while order:  # the longest first, so that want of memory shows at once
        before_batch()
        longest = min(context_tokens, len(prompts[order[-1]]) + most)
        count = max(1, min(MAX_BATCH_ROWS, _CACHE_BYTES // (longest * _cache_bytes_per_token(model))))
        chosen, order = order[-count:], order[:-count]
        batch = _generate_batch(model, decoding, [prompts[i] for i in chosen], context_tokens, most)
        for index, answer in zip(chosen, batch, strict=True):
            answers[index] = answer
    return answers


def _cache_bytes_per_token(model: Any) -> int:  # a transformers model
    config = model.config
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    key_value_heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return int(config.num_hidden_layers * 2 * key_value_heads * head_size * model.dtype.itemsize)


def _read_shared(model: Any, prompts: list[Sequence[int]]) -> tuple[int, Any]:  # transformers' model and cache
    """How many tokens all prompts begin with, and what the model makes of them, read once: an instruction prompt.

    Nothing where that saves little, or where layers look back over so many places only: padding would stand in between.
    """
    most = min(map(len, prompts)) - 1  # each has a token of its own to go on from
    columns = enumerate(zip(*prompts, strict=False))
    count = next((place for place, column in columns if place == most or len(set(column)) > 1), most)
    if len(prompts) == 1 or count < _LEAST_SHARED or getattr(model.config, "sliding_window", None):
        return 0, None
    ids = torch.tensor([prompts[0][:count]], device=model.device)
    cache = model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values
    cache.batch_repeat_interleave(len(prompts))
    return count, cache


@torch.inference_mode()
def _generate_batch(
    model: Any, decoding: Decoding, prompts: list[Sequence[int]], context_tokens: int, most: int
) -> list[list[int]]:
    shared, cache = _read_shared(model, prompts)
    width = max(map(len, prompts)) - shared
    pads = [width - (len(p) - shared) for p in prompts]
    ids = torch.tensor(
        [[0] * pad + list(p[shared:]) for p, pad in zip(prompts, pads, strict=True)], device=model.device
    )
    mask = torch.tensor([[1] * shared + [0] * pad + [1] * (width - pad) for pad in pads], device=model.device)
    answers = [decoding.begin(min(most, context_tokens - len(p))) for p in prompts]
    rows = answers
    while rows:
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = output.past_key_values
        logits_B_V = output.logits[:, -1].float().cpu().numpy()
        # A complete row stays until the batch is compacted; what it is fed no longer matters.
        tokens = [0 if row.is_complete else row.extend(logits_B_V[i]) for i, row in enumerate(rows)]
        ids = torch.tensor(tokens, device=model.device)[:, None]
        mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
        kept = [i for i, row in enumerate(rows) if not row.is_complete]
        if len(kept) <= _COMPACT_RATIO * len(rows):
            chosen = torch.tensor(kept, device=model.device, dtype=torch.long)
            ids, mask, rows = ids[chosen], mask[chosen], [rows[i] for i in kept]
            cache.batch_select_indices(chosen)
    return [answer.ids for answer in answers]
