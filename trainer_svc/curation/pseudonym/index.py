"""Finds known values in a text however they are spelt, in one pass whatever their number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from trainer_svc.curation.pseudonym.base import folded, squash, tokens
from trainer_svc.curation.pseudonym.phone import MAX_PREFIX_DIGITS, PREFIXES

_HEADS = (4, 8, 16)
"""Characters of a value after which most of what only begins like one is given up."""
MAX_CHARS = 80
"""Of a value without its spaces and signs; longer ones are not looked for."""
_MAX_WORDS = 24
"""Of a value: an account in groups of letters and digits has no more."""
_GAP = re.compile(r"[\s.\-/()_@+:'%\u0300-\u036f\u2010-\u2014]{0,3}")
"""Between words or groups, and accents of their own (NFD); no comma, which amounts and lists have."""


@dataclass
class ValueIndex:
    """Squashed values. `find` gives their places; who asks decides by the text there whether it is the value."""

    _values: set[str] = field(default_factory=set)
    _heads: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self._values)

    def add(self, text: str) -> None:
        """Makes it known, unless it is too long."""
        value = squash(text)
        if 0 < len(value) <= MAX_CHARS:
            self._values.add(value)
            self._heads.update(value[:count] for count in _HEADS)

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Where a value begins and ends, by position, without overlaps; the longest of those that begin at one place.

        A number may follow a prefix of telephone numbers without a space. Takes time in proportion to the text.
        """
        if not self._values:
            return
        words, end = tokens(text), 0
        for place, word in enumerate(words):
            if word.start() < end:
                continue
            for offset in _offsets(word[0]):
                if found := self._longest(text, words, place, offset):
                    yield word.start() + offset, found
                    end = found
                    break

    def _longest(self, text: str, words: list[re.Match[str]], place: int, offset: int) -> int:
        """Where the longest value ends that begins there; 0 for none."""
        value, end, tried = "", 0, 0  # of _HEADS
        for at in range(place, min(place + _MAX_WORDS, len(words))):
            if value and not _GAP.fullmatch(text, words[at - 1].end(), words[at].start()):
                break
            value += folded(words[at][0][offset:] if at == place else words[at][0])
            if value in self._values and not _goes_on(text, words[at].end()):
                end = words[at].end()
            while tried < len(_HEADS) and len(value) >= _HEADS[tried]:
                if value[: _HEADS[tried]] not in self._heads:
                    return end
                tried += 1
        return end


def _offsets(word: str) -> Iterator[int]:
    yield 0
    if word[0].isdecimal():
        yield from (count for count in range(1, min(len(word), MAX_PREFIX_DIGITS + 1)) if word[:count] in PREFIXES)


def _goes_on(text: str, end: int) -> bool:
    """Whether a word of Latin letters continues there ("Jos" in "José")."""
    after = text[end : end + 1]
    return text[end - 1].isalpha() and after.isalpha() and after < "\u0250"
