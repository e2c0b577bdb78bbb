"""Which parts of two texts differ, by words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from operator import itemgetter

_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_MAX_WORDS = 2_000
"""Of either text. Two texts of so many that are made to be slow take a quarter of a second (2026-11, 2 cores)."""


@dataclass(frozen=True)
class Segment:
    """A part of a text."""

    text: str
    is_different: bool
    """Whether the other text does not have it here."""


def mark_differences(left: str, right: str) -> tuple[list[Segment], list[Segment]]:
    """Both texts in parts that are joined again the texts. One of too many words is a single part without a mark.

    Line ends and indents are never marked: they follow from what stands on the lines.
    """
    words, others = _WORD.findall(left), _WORD.findall(right)
    if max(len(words), len(others)) > _MAX_WORDS:
        return [Segment(left, is_different=False)], [Segment(right, is_different=False)]
    ours: list[tuple[str, bool]] = []
    theirs: list[tuple[str, bool]] = []
    for kind, begin, end, other_begin, other_end in SequenceMatcher(None, words, others, autojunk=False).get_opcodes():
        for side, part in ((ours, words[begin:end]), (theirs, others[other_begin:other_end])):
            side.extend((word, kind != "equal" and "\n" not in word) for word in part)
    return _joined(ours), _joined(theirs)


def _joined(words: Iterable[tuple[str, bool]]) -> list[Segment]:
    runs = groupby(words, key=itemgetter(1))
    return [Segment("".join(word for word, _ in run), is_different=differs) for differs, run in runs]
