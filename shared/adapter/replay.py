"""How far an engine repeats a canary's expected answer, and how far it must: in the trainer's proof, at each load."""

from __future__ import annotations

from collections.abc import Sequence

MIN_CANARY_AGREEMENT = 0.5
"""Mean share of each expected answer that must be replayed before the first difference. Trainer and engine compute in
bf16 with different kernels, so a near tie may fall the other way and the rest of that answer differs; an adapter that
is not applied, or garbage, parts from the expected tokens almost at once on most canaries."""


def replayed_ratio(answer: Sequence[int], expected: Sequence[int]) -> float:
    """Share of the expected tokens before the first that the answer has otherwise; 1.0 where none is expected."""
    same = 0
    for got, wanted in zip(answer, expected, strict=False):
        if got != wanted:
            break
        same += 1
    return same / len(expected) if expected else 1.0
