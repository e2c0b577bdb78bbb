"""Causal attention of short rows on a CPU, as matrix products; everything else by transformers' own way.

On CPUs torch's kernel for `scaled_dot_product_attention` saves the memory of the scores and takes twice as long for
them, above all backwards (bfloat16, 8 rows of 184 tokens: 16 ms, and 9 ms this way; torch 2.13, Zen 5). As that kernel
does, this keeps scores in float32: bases whose keys have a bias give scores of hundreds, where bfloat16 has no halves.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_NAME = "goldsmith_short_rows"
MOST_TOKENS = 512
"""Of a row: its scores then take less memory than what its feed-forward layer keeps."""


def use_short_row_attention(model: Any) -> None:  # a PEFT model
    """Has a model attend this way from now on, if it attends by `scaled_dot_product_attention`."""
    AttentionInterface.register(_NAME, attention)
    AttentionMaskInterface.register(_NAME, sdpa_mask)
    base = model.get_base_model()
    if base.config._attn_implementation == "sdpa":  # noqa: SLF001  # there is no other way to ask
        base.set_attn_implementation(_NAME)


def attention(
    module: Any, query_B_H_T_D: torch.Tensor, key_B_K_T_D: torch.Tensor, value_B_K_T_D: torch.Tensor,
    attention_mask: torch.Tensor | None, **kwargs: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip  # as transformers calls it; tensor shapes in names
    """Attended values of shape (rows, tokens, heads, size of a head), and no weights."""
    parts = query_B_H_T_D, key_B_K_T_D, value_B_K_T_D
    if attention_mask is not None or not _is_short(*parts) or not _is_plain(module, kwargs):
        return sdpa_attention_forward(module, *parts, attention_mask, **kwargs)
    rows, heads, tokens, size = query_B_H_T_D.shape
    groups = heads // key_B_K_T_D.shape[1]
    query, key, value = (
        part.reshape(rows * heads, tokens, size)
        for part in (query_B_H_T_D, repeat_kv(key_B_K_T_D, groups), repeat_kv(value_B_K_T_D, groups))
    )
    scaling = kwargs.get("scaling")
    apply: Any = _Attended.apply
    found = apply(query, key, value, size**-0.5 if scaling is None else scaling)
    return found.view(rows, heads, tokens, size).transpose(1, 2).contiguous(), None


class _Attended(torch.autograd.Function):
    """`softmax(scale * q k^T + causal) v` of shape (rows and heads, tokens, size); weights are kept in `v`'s type."""

    @staticmethod
    def forward(
        ctx: Any, query_N_T_D: torch.Tensor, key_N_T_D: torch.Tensor, value_N_T_D: torch.Tensor, scale: float
    ) -> torch.Tensor:
        count, tokens, _ = query_N_T_D.shape
        future = torch.full((tokens, tokens), -torch.inf).triu(1).expand(count, tokens, tokens)
        scores = torch.baddbmm(future, query_N_T_D.float(), key_N_T_D.float().transpose(1, 2), alpha=scale)
        weights = torch.softmax(scores, -1).to(value_N_T_D.dtype)
        ctx.save_for_backward(query_N_T_D, key_N_T_D, value_N_T_D, weights)
        ctx.scale = scale
        return torch.bmm(weights, value_N_T_D)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, None]:
        query, key, value, weights = ctx.saved_tensors
        by_weights = torch.bmm(gradient, value.transpose(1, 2))
        softmax_backward = torch.ops.aten._softmax_backward_data  # noqa: SLF001  # what autograd calls itself
        by_scores = softmax_backward(by_weights, weights, -1, weights.dtype).mul_(ctx.scale)
        by_value = torch.bmm(weights.transpose(1, 2), gradient)
        return torch.bmm(by_scores, key), torch.bmm(by_scores.transpose(1, 2), query), by_value, None


def _is_short(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> bool:
    """Rows from their beginning, with nothing kept of earlier tokens, and heads of one size."""
    has_one_size = query.shape[-1] == value.shape[-1]
    return has_one_size and query.device.type == "cpu" and query.shape[2] == key.shape[2] <= MOST_TOKENS


def _is_plain(module: Any, kwargs: dict[str, Any]) -> bool:
    """Causal, and nothing that is added to scores or taken from weights."""
    is_causal = kwargs.get("is_causal")
    is_bare = not kwargs.get("dropout") and kwargs.get("position_bias") is None and kwargs.get("cache") is None
    return is_bare and bool(getattr(module, "is_causal", True) if is_causal is None else is_causal)
