"""Chooses canaries: how firmly an answer would be replayed, by the adapter and by the base model alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from shared.adapter.manifest import Canary
from shared.contracts.compiled import CompiledContract
from trainer_svc.domain.canary import Candidate, choose_canaries
from trainer_svc.engine.decoding import allowed_tokens
from trainer_svc.engine.served import Server

_CANDIDATES = 24
"""Shortest prompts that are measured: every load of the adapter replays the chosen ones."""


def pick_canaries(
    model: Any, server: Server, prompts: Sequence[Sequence[int]]
) -> tuple[Canary, ...]:  # a PEFT model with the adapter as it is served
    """Canaries among held-out prompts, with what transformers makes of them.

    The engine that serves repeats them, which shows that both compute the same. Raises what the server's stop raises.
    """
    contract = server.contract
    shortest = sorted(prompts, key=lambda prompt: (len(prompt), prompt))[:_CANDIDATES]
    candidates = []
    for prompt, answer in zip(shortest, server.answer(model, shortest), strict=True):
        if not answer:  # no room for any
            continue
        ratio, margin = _replay(model, contract, prompt, answer)
        with model.disable_adapter():
            base_ratio, _ = _replay(model, contract, prompt, answer)
        candidates.append(Candidate(Canary(tuple(prompt), tuple(answer)), ratio, margin, base_ratio))
    return choose_canaries(candidates)


@torch.inference_mode()
def _replay(
    model: Any, contract: CompiledContract, prompt: Sequence[int], answer: Sequence[int]
) -> tuple[float, float]:  # a PEFT model
    """Share of the answer replayed before the first difference, and its least margin in logits, in one forward pass."""
    ids = torch.tensor([[*prompt, *answer[:-1]]], device=model.device)
    logits_T_V = model(input_ids=ids, use_cache=False, logits_to_keep=len(answer)).logits[0].float().cpu().numpy()
    guide, same, margin = contract.guide(), len(answer), float("inf")
    for place, token in enumerate(answer):
        allowed = allowed_tokens(guide, len(answer) - place)
        scores = logits_T_V[place][allowed]
        others = scores[allowed != token]
        lead = float(logits_T_V[place][token] - others.max()) if len(others) else float("inf")
        margin = min(margin, lead)
        if lead < 0:
            same = min(same, place)
        guide.advance(token)
    return same / len(answer), float(np.float32(margin))
