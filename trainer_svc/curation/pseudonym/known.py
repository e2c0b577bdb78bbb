"""Pseudonyms that were given out: a later check does not take them for personal data."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from trainer_svc.curation.personal.base import UNREAD, PersonalDataFinder, PersonalSpan
from trainer_svc.curation.pseudonym.base import tokens
from trainer_svc.curation.pseudonym.index import ValueIndex


class KnownPseudonyms:
    """Of a dataset and of those that it was made from. They stand in its rows: nothing in them is secret."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._texts: set[str] = set()
        self._index = ValueIndex()
        for text in texts:
            self.add(text)

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, text: str) -> None:
        """One, as it is spelt in a row."""
        core = _core(text)
        if core not in self._texts:
            self._texts.add(core)
            self._index.add(core)

    def places(self, text: str) -> Iterator[tuple[int, int]]:
        """Where they stand, by position."""
        if self._texts:
            yield from (place for place in self._index.find(text) if _core(text[slice(*place)]) in self._texts)

    def dump(self) -> bytes:
        """All of them, sorted, as JSON."""
        return json.dumps(sorted(self._texts)).encode()

    @classmethod
    def load(cls, data: bytes) -> KnownPseudonyms:
        """Inverse of `dump`."""
        return cls(json.loads(data))


class UnknownFinder:
    """Implements `PersonalDataFinder`: what another one finds, less what lies on a known pseudonym."""

    def __init__(self, finder: PersonalDataFinder, known: KnownPseudonyms) -> None:
        self._finder, self._known = finder, known

    @property
    def kinds(self) -> Sequence[str]:
        """As the other's."""
        return self._finder.kinds

    def find(self, text: str) -> Sequence[PersonalSpan]:
        """A span that reaches beyond a pseudonym is none either: what stands there was not personal before."""
        spans = self._finder.find(text)
        if not spans or not self._known:
            return spans
        places = list(self._known.places(text))
        return [span for span in spans if span.kind == UNREAD or not _meets(span, places)]


def _meets(span: PersonalSpan, places: Sequence[tuple[int, int]]) -> bool:
    """`places` are sorted and do not overlap."""
    after = bisect_left(places, span.end, key=lambda place: place[0])
    return after > 0 and places[after - 1][1] > span.begin


def _core(text: str) -> str:
    """From its first word or group of digits to the last: signs around it belong to the sentence."""
    words = tokens(text)
    return text[words[0].start() : words[-1].end()].casefold() if words else text.casefold()
