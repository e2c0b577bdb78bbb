"""Where things stand in a text, brought into one order."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from trainer_svc.curation.personal.base import UNREAD, PersonalSpan
from trainer_svc.curation.pseudonym.base import squash
from trainer_svc.curation.pseudonym.index import ValueIndex
from trainer_svc.curation.pseudonym.register import Place, Value


class OwnValues:
    """Values of a row that are looked for in it alone: elsewhere the same letters may be any word."""

    def __init__(self, values: Iterable[Value]) -> None:
        self._values = {value.key: value for value in values if not value.is_known_form}
        self._index = ValueIndex()
        for key in self._values:
            self._index.add(key)

    def occurrences(self, text: str) -> Iterator[Place]:
        """By position."""
        for begin, end in self._index.find(text):
            if value := self._values.get(squash(text[begin:end])):
                yield Place(begin, end, value)


def within(text: str, label_chars: int, spans: Iterable[PersonalSpan]) -> Iterator[PersonalSpan]:
    """Spans of a label and a text as those of the text; what lies in the label is left out."""
    for span in spans:
        begin, end = max(0, span.begin - label_chars), span.end - label_chars
        if end > len(text):
            raise ValueError(f"a finder found {span.kind} at {begin} to {end} of {len(text)} characters")
        if end > 0:
            yield PersonalSpan(span.kind, begin, end)


def joined_spans(spans: Iterable[PersonalSpan]) -> list[PersonalSpan]:
    """By position; those that overlap are one, of the first one's kind, unless one was not read."""
    kept: list[PersonalSpan] = []
    for span in sorted(spans, key=lambda span: (span.begin, -span.end)):
        if kept and kept[-1].end > span.begin and UNREAD not in (span.kind, kept[-1].kind):
            last = kept.pop()
            kept.append(PersonalSpan(last.kind, last.begin, max(last.end, span.end)))
        else:
            kept.append(span)
    return kept


def joined(found: Sequence[Place], others: Iterable[Place]) -> list[Place]:
    """By position, without overlaps: what was found first, then those that lie beside it, the longer ones first."""
    taken = sorted(found, key=lambda place: place.begin)
    for one in sorted(others, key=lambda place: place.begin - place.end):
        at = bisect_left(taken, one.begin, key=lambda place: place.begin)
        is_free = at == 0 or taken[at - 1].end <= one.begin
        if is_free and (at == len(taken) or one.end <= taken[at].begin):
            taken.insert(at, one)
    return taken
