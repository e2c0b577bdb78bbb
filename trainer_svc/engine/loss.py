"""Cross-entropy over the learned tokens only, in chunks, so that logits never take more memory than a bound."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from trainer_svc.curation.compiled_example import IGNORED
from trainer_svc.engine.logits import logits_of

CHUNK_BYTES = 64 << 20
"""Of logits in float32. With a small vocabulary that is a whole batch, which is then computed once and not twice."""
LEAST_CHUNK_TOKENS = 256
"""Fewer make the product with a large vocabulary slow: 256 x 128,000 logits are 131 MB."""


def completion_loss(
    model: Any, input_ids_B_T: torch.Tensor, labels_B_T: torch.Tensor
) -> torch.Tensor:  # tensor shapes in names
    """Sum of next-token losses over labels that are not `IGNORED`, in nats; `model` is a causal LM, or PEFT of one.

    Rows are padded on the right, with ignored labels: a causal model needs no mask for that, and is faster without.
    """
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    hidden_B_T_H = causal.model(input_ids=input_ids_B_T, use_cache=False)[0]
    targets_B_T = labels_B_T[:, 1:]
    learned = targets_B_T != IGNORED
    hidden_N_H, targets_N = hidden_B_T_H[:, :-1][learned], targets_B_T[learned]
    chunk_tokens = max(LEAST_CHUNK_TOKENS, CHUNK_BYTES // (4 * causal.lm_head.out_features))
    if len(targets_N) <= chunk_tokens:
        return _chunk_loss(causal, hidden_N_H, targets_N)
    total: torch.Tensor = hidden_N_H.new_zeros((), dtype=torch.float32)
    for hidden, targets in zip(
        torch.split(hidden_N_H, chunk_tokens), torch.split(targets_N, chunk_tokens), strict=True
    ):
        total = total + checkpoint(_chunk_loss, causal, hidden, targets, use_reentrant=False)
    return total


def _chunk_loss(causal: Any, hidden_N_H: torch.Tensor, targets_N: torch.Tensor) -> torch.Tensor:  # as above
    return functional.cross_entropy(logits_of(causal, hidden_N_H), targets_N, reduction="sum")
