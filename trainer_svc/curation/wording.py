"""Whether two examples say the same in other letters, and whether what differs in their outputs was copied."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from rapidfuzz.distance import OSA

from trainer_svc.domain.dataset import CheckedRow

_SLIP_RATIO = 0.05
"""A word this much rarer than one that is spelt nearly so is a slip, if the inputs are otherwise the same."""
_LONG_WORD_CHARS = 8
"""Words in which two slips are likely still the same word."""
_MAX_WORDS = 300_000
"""Different ones that are counted: those that come later count as rare, which in so large a dataset they
most likely are."""
_LAST_ALPHABET = "\u2e80"
"""From here on a "word" is a clause or more (Chinese, Japanese): another letter is another word."""


class Wording:
    """Words of all inputs of a dataset: what few write is a slip of the pen rather than another word."""

    def __init__(self, inputs: Iterable[str]) -> None:
        self._inputs_with: Counter[str] = Counter()
        for text in inputs:
            known = set(_words(text))
            if len(self._inputs_with) >= _MAX_WORDS:
                known &= self._inputs_with.keys()
            self._inputs_with.update(known)

    def is_same(self, first: str, second: str) -> bool:
        """Whether two inputs are the same words: some misspelt, or with other case, spaces and punctuation."""
        ours, theirs = _words(first), _words(second)
        if "".join(ours) == "".join(theirs):
            return True
        return len(ours) == len(theirs) and all(
            word == other or self._is_misspelt(word, other) for word, other in zip(ours, theirs, strict=True)
        )

    def _is_misspelt(self, word: str, other: str) -> bool:
        rare, common = sorted((self._inputs_with[word], self._inputs_with[other]))
        if rare > max(1, common * _SLIP_RATIO) or max(word + other) >= _LAST_ALPHABET:
            return False
        slips = 2 if min(len(word), len(other)) >= _LONG_WORD_CHARS else 1
        return max(len(word), len(other)) > 1 and OSA.distance(word, other, score_cutoff=slips) <= slips


def is_copied(first: CheckedRow, second: CheckedRow) -> bool:
    """Whether two outputs differ only as their inputs do: in the same words, or in case, spaces and punctuation."""
    if first.input == second.input:
        return False
    if "".join(_words(first.output)) == "".join(_words(second.output)):
        return True
    ours, theirs = (re.findall(r"\w+", row.input) for row in (first, second))
    mine, other = (re.findall(r"\w+|[^\w\s]", row.output) for row in (first, second))
    changes = set(zip(ours, theirs, strict=False)) if len(ours) == len(theirs) else set()
    return len(mine) == len(other) and all(
        word == instead or (word, instead) in changes for word, instead in zip(mine, other, strict=True)
    )


def _words(text: str) -> list[str]:
    """Words and signs, without case and light punctuation."""
    return re.findall(r"\w+|[^\w\s.,;:!?'\"()]", text.casefold())
