"""Logits from hidden states, as an architecture makes them: some scale them, or bend them towards a bound."""

from __future__ import annotations

from typing import Any

import torch


def logits_of(causal: Any, hidden_N_H: torch.Tensor) -> torch.Tensor:  # a transformers model; tensor shapes in names
    """Logits in float32, of shape (tokens, vocabulary).

    `cap * tanh(scale * head(h) / cap)`: Gemma has the cap (`final_logit_softcapping`), Cohere multiplies
    (`logit_scale`), Granite divides (`logits_scaling`). Each is held to transformers' own loss by a test.
    """
    config = causal.config
    logits: torch.Tensor = causal.lm_head(hidden_N_H).float()
    scale = (getattr(config, "logit_scale", None) or 1.0) / (getattr(config, "logits_scaling", None) or 1.0)
    if scale != 1:
        logits = logits * scale
    cap = getattr(config, "final_logit_softcapping", None)
    return torch.tanh(logits / cap) * cap if cap else logits
