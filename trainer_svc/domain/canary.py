"""Which held-out answers travel with an adapter, to be replayed before it serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.adapter.manifest import Canary
from shared.adapter.replay import MIN_CANARY_AGREEMENT

CANARY_COUNT = 6


@dataclass(frozen=True)
class Candidate:
    """A prompt with the adapter's answer, and how firmly it tells this adapter from none.

    Replayed ratios: share of the answer's tokens before the first that the model would choose otherwise, 0..1.
    """

    canary: Canary
    adapter_ratio: float
    margin: float
    """Least lead of an answer's token over the next best allowed one, in logits: small is a tie that another kernel
    may break the other way."""
    base_ratio: float


def choose_canaries(candidates: Sequence[Candidate], count: int = CANARY_COUNT) -> tuple[Canary, ...]:
    """The `count` best: stable under other kernels, and not answered alike by the base model alone."""
    ordered = sorted(
        candidates,
        key=lambda c: (c.adapter_ratio < 1.0, c.base_ratio >= MIN_CANARY_AGREEMENT, -c.margin, c.canary.prompt_ids),
    )
    return tuple(candidate.canary for candidate in ordered[:count])
