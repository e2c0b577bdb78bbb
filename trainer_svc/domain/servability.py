"""Whether an adapter can be served: what proves it, and what the proof must show."""

from __future__ import annotations

import dataclasses
import enum
import json
from dataclasses import dataclass
from statistics import fmean

from shared.adapter.replay import MIN_CANARY_AGREEMENT
from shared.errors import StateConflict


class ServabilityMode(enum.StrEnum):
    """How far the proof goes."""

    STATIC = "static"
    """Our own rules on configuration, names, shapes, rank and delta; vLLM's are among them."""
    VLLM = "vllm"
    """Those, and then vLLM itself loads the adapter and answers its canaries."""


SERVED_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Largest ranks that vLLM 0.32 can be started with."""


@dataclass(frozen=True)
class ServabilityProof:
    """What was found of an adapter that can be served. Ratios are shares of a canary's expected answer, 0..1."""

    mode: ServabilityMode
    max_lora_rank: int
    """Largest rank that is served, which the adapter's does not exceed."""
    vllm_version: str = ""
    """Empty where vLLM was not asked."""
    canary_ratios: tuple[float, ...] = ()
    """Replayed by the adapter in vLLM, by canary; empty where there are none."""
    base_ratios: tuple[float, ...] = ()
    """Replayed by the base model alone, which a good one may as well."""
    is_applied: bool = True
    """Whether vLLM computes anything else with the adapter than without."""
    answering_seconds: float = 0.0
    """What vLLM took afterwards for the answers that are evaluated."""

    def to_json(self) -> bytes:
        """Inverse of `from_json`."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> ServabilityProof:
        """Reads a proof, which only the trainer writes."""
        body = json.loads(data)
        ratios = {name: tuple(map(float, body[name])) for name in ("canary_ratios", "base_ratios")}
        return cls(**{**body, **ratios, "mode": ServabilityMode(body["mode"])})

    def check(self) -> None:
        """Passes when vLLM repeats the canaries with the adapter, and the adapter has a part in that.

        Raises:
            StateConflict: ADAPTER_REJECTED naming the check and its figures.
        """
        # There are none where no prompt leaves room for an answer.
        adapter = fmean(self.canary_ratios) if self.canary_ratios else 1.0
        if adapter < MIN_CANARY_AGREEMENT:
            text = f"vLLM repeats {adapter:.0%} of the expected answers, the least is {MIN_CANARY_AGREEMENT:.0%}"
            raise refusal("canary replay", text)
        if not self.is_applied:
            text = "the answers and their probabilities are those of the base model alone: it changes nothing in vLLM"
            raise refusal("canary replay", text)


def refusal(check: str, text: str) -> StateConflict:
    """The error of an adapter that failed a check of the proof."""
    return StateConflict("ADAPTER_REJECTED", f"servability, {check}: {text}")
