"""Who judges what the gate says of rows that repeat others, by a measure that is not the gate's.

The gate compares characters (nine in ten, and the same digits in the same order); here whole words are counted, as
someone does who asks whether a row teaches anything that the other does not: the numbers must be the same, the outputs
must be equal, and at least three words in four of the longer input stand in the other, too. Words of four letters
and more of which one is the other with a single slip or ending ("recieve", "cards") are the same. One word in four
is what separates "Why is my transfer pending?" from "Why is my top-up pending?", and five-word questions that differ
in one word at equal outputs are what MinHash at a Jaccard similarity of 0.6 would call near.
"""

from __future__ import annotations

import json
import re
from collections import Counter

from rapidfuzz.distance import OSA

from tests.bench.gate_set import Row

_OTHER_WORDS = 0.25
"""Share of the longer input's words at most; chosen before anything was measured."""
_SLIP_CHARS = 4
"""Shorter words with another letter are other words: "can" and "may", "in" and "on"."""


def is_repeated(row: Row, other: Row, *, exactly: bool) -> bool:
    """Whether one of the two teaches nothing beside the other."""
    if _output(row) != _output(other):
        return False
    if exactly:
        return _folded(row.input) == _folded(other.input)
    ours, theirs = _words(row.input), _words(other.input)
    if _numbers(ours) != _numbers(theirs):
        return False
    longer = max(ours.total(), theirs.total())
    return longer > 0 and _others(ours - theirs, theirs - ours) <= _OTHER_WORDS * longer


def _others(ours: Counter[str], theirs: Counter[str]) -> int:
    """Words of one side that the other has not, not even with a slip; of the side that has more of them."""
    left = list(theirs.elements())
    alone = 0
    for word in ours.elements():
        same = next((other for other in left if _is_slip(word, other)), None)
        if same is None:
            alone += 1
        else:
            left.remove(same)
    return max(alone, len(left))


def _is_slip(word: str, other: str) -> bool:
    return min(len(word), len(other)) >= _SLIP_CHARS and OSA.distance(word, other, score_cutoff=1) <= 1


def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.casefold()))


def _numbers(words: Counter[str]) -> Counter[str]:
    return Counter({word: count for word, count in words.items() if any(map(str.isdigit, word))})


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _output(row: Row) -> object:
    try:
        return json.loads(row.output)
    except ValueError:
        return _folded(row.output)
