"""Walks under a guide's masks by several choosers of tokens; each holds the guide to its promise at every step."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from shared.contracts.guide import Guide
from tests.unit.contracts.sample import vocabulary
from tests.walk import ids_of

EOS = vocabulary().eos_id
EXTRA = (0, 1, 2, 3, 5, 8, 13, 40, 150)
"""Tokens that a walk gets above the least."""
Chooser = Callable[[Guide, list[int], random.Random], int]


def allowed(guide: Guide, remaining: int) -> list[int]:
    """Ids in the mask."""
    return ids_of(guide.mask(remaining)).tolist()


def uniform(guide: Guide, tokens: list[int], rng: random.Random) -> int:
    """Any token."""
    return rng.choice(tokens)


def opening(guide: Guide, tokens: list[int], rng: random.Random) -> int:
    """Tokens that open something, where there are any."""
    ends = b'{[,:"'
    return rng.choice([t for t in tokens if t != EOS and vocabulary().token_bytes[t][-1] in ends] or tokens)


def digits(guide: Guide, tokens: list[int], rng: random.Random) -> int:
    """Digits and spaces, where there are any."""
    return rng.choice([t for t in tokens if t != EOS and vocabulary().token_bytes[t][-1] in b"0123456789 "] or tokens)


def farthest(guide: Guide, tokens: list[int], rng: random.Random) -> int:
    """Of some tokens the one that leaves the longest way to the end."""

    def distance(token: int) -> int:
        assert guide.advance(token)
        found = guide.distance()
        guide.rollback(1)
        return found

    return max(rng.sample(tokens, min(6, len(tokens))), key=distance)


CHOOSERS: tuple[Chooser, ...] = (uniform, opening, digits, farthest)


def walk(guide: Guide, budget: int, choose: Chooser, rng: random.Random) -> str:
    """An answer of at most `budget` tokens; holds the guide to its promise at every step."""
    tokens: list[int] = []
    for remaining in range(budget, 0, -1):
        candidates = allowed(guide, remaining)
        assert candidates, "an empty mask"
        assert (EOS in candidates) is guide.is_accepting()
        token = choose(guide, candidates, rng)
        assert guide.advance(token), "the mask allows what cannot follow"
        if guide.is_finished():
            return b"".join(vocabulary().token_bytes[token] for token in tokens).decode()
        assert guide.distance() <= remaining - 1
        tokens.append(token)
    raise AssertionError("the budget is used up")


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys differ and are not taken."""
    assert len({key for key, _ in pairs}) == len(pairs), pairs
    return dict(pairs)
