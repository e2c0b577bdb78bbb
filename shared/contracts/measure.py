"""How long the answers of a contract are: seeded random walks, and the longest path of an automaton."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable

import numpy as np

from shared.contracts.automaton import TokenAutomaton
from shared.contracts.guide import Guide

_WALKS = 5
_HOMEWARD_RATIO = 0.4
"""Share of steps on a shortest way to the end: uniform choice among tokens would hardly ever close a string."""
_STEPS = 40
"""Of a walk; what is left then counts with its shortest length. More would cost most of a compilation's time."""
_LONGEST_START = 512
"""Tokens: of answers that cannot be shorter, steps as few as that say nothing."""


def typical_tokens(new_guide: Callable[[], Guide], seed: int = 0) -> int:
    """Median length in tokens of `_WALKS` random answers, the stop token included; the same for the same seed.

    Never less than the start's distance, and just that where it is more than `_LONGEST_START`.
    """
    rng, least = random.Random(seed), new_guide().distance()
    if least > _LONGEST_START:
        return least
    return max(least, int(statistics.median_low(_walk(new_guide(), least, rng) for _ in range(_WALKS))))


def _walk(guide: Guide, least: int, rng: random.Random) -> int:
    for count in range(_STEPS):
        if guide.is_finished():
            return count
        horizon = guide.distance() if rng.random() < _HOMEWARD_RATIO else least + 2 * _STEPS
        allowed = np.flatnonzero(np.unpackbits(guide.mask(horizon).view(np.uint8), bitorder="little"))
        assert guide.advance(int(allowed[rng.randrange(len(allowed))])), "the mask allows what cannot follow"
    return _STEPS + guide.distance()


def longest_tokens(automaton: TokenAutomaton) -> int | None:
    """Most tokens of an answer, the stop token included; None when the automaton has a cycle.

    Longest path of an acyclic graph, by Kahn's order (Kahn 1962). O(distinct pairs of states).
    """
    states = automaton.state_count
    sources = np.repeat(np.arange(states, dtype=np.int64), np.diff(automaton.offsets))
    pairs = np.unique(sources * states + automaton.targets)
    targets = (pairs % states).tolist()
    offsets = np.searchsorted(pairs // states, np.arange(states + 1)).tolist()
    open_edges = np.bincount(pairs % states, minlength=states).tolist()
    lengths, ready = [0] * states, [state for state in range(states) if not open_edges[state]]
    for state in ready:  # grows while it is read
        for target in targets[offsets[state] : offsets[state + 1]]:
            lengths[target] = max(lengths[target], lengths[state] + 1)
            open_edges[target] -= 1
            if not open_edges[target]:
                ready.append(target)
    if len(ready) < states:
        return None
    ends: list[int] = np.flatnonzero(automaton.accepting).tolist()
    return max(lengths[state] + 1 for state in ends)
