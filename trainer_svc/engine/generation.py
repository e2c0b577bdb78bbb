"""Greedy generation under a contract, in batches: what the inference service does, for evaluation and canaries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from shared.contracts.automaton import TokenAutomaton

BATCH_ROWS = 16
DEFAULT_OUTPUT_TOKENS = 512
"""The inference service's default."""


def generate(
    model: Any, automaton: TokenAutomaton, prompts: Sequence[Sequence[int]], context_tokens: int,
    before_batch: Callable[[], None] = lambda: None,
) -> list[list[int]]:  # fmt: skip  # a transformers model
    """Token ids of each prompt's answer, the stop token included; in the order of the prompts.

    Each answer is the greedy one among those that the contract and the budget allow, so it is complete. A prompt that
    leaves less room than the contract's minimum gets an empty answer. `before_batch` may raise to stop between batches.
    """
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    answers: list[list[int]] = [[] for _ in prompts]
    for begin in range(0, len(order), BATCH_ROWS):
        before_batch()
        chosen = [
            i for i in order[begin : begin + BATCH_ROWS] if context_tokens - len(prompts[i]) >= automaton.min_tokens
        ]
        if chosen:
            batch = _generate_batch(model, automaton, [prompts[i] for i in chosen], context_tokens)
            for index, answer in zip(chosen, batch, strict=True):
                answers[index] = answer
    return answers


@torch.inference_mode()
def _generate_batch(
    model: Any, automaton: TokenAutomaton, prompts: list[Sequence[int]], context_tokens: int
) -> list[list[int]]:
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    budgets = [min(max(DEFAULT_OUTPUT_TOKENS, automaton.min_tokens), context_tokens - len(p)) for p in prompts]
    states = [automaton.start] * len(prompts)
    answers: list[list[int]] = [[] for _ in prompts]
    running = [True] * len(prompts)
    cache = None
    while any(running):
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
        logits_B_V = output.logits[:, -1].float().numpy()  # tensor shapes in names
        tokens = []
        for row, alive in enumerate(running):
            token = automaton.eos_id
            if alive:
                token = _best(logits_B_V[row], automaton.allowed(states[row], budgets[row] - len(answers[row])))
                answers[row].append(token)
                following = automaton.next(states[row], token)
                running[row] = following is not None
                states[row] = following if following is not None else states[row]
            tokens.append(token)
        ids = torch.tensor(tokens)[:, None]
        mask = torch.cat([mask, torch.ones(len(prompts), 1, dtype=mask.dtype)], dim=1)
    return answers


def _best(logits_V: np.ndarray[Any, Any], allowed: np.ndarray[Any, Any]) -> int:  # tensor shapes in names
    return int(allowed[np.argmax(logits_V[allowed])])
