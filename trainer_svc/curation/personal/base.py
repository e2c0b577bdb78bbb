"""What finds personal data in a text: the seam at which an operator plugs in a model."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from trainer_svc.domain.dataset import MAX_KIND_CHARS

UNREAD = "groups of digits, of which only the first 50 were looked at for telephone numbers"
"""A kind of span that is no find: it says what was not looked at, and hides nothing that lies in it."""


@dataclass(frozen=True)
class PersonalSpan:
    """Characters `begin` to `end` (not included) of a text, counted from 0, and what they are."""

    kind: str
    """In words that follow "holds": "an e-mail address"; 1 to 100 characters."""
    begin: int
    end: int

    def __post_init__(self) -> None:
        """Refuses what cannot be told of a text."""
        if not 0 < len(self.kind) <= MAX_KIND_CHARS:
            raise ValueError(f"a kind has 1 to {MAX_KIND_CHARS} characters, got {self.kind!r}")
        if not 0 <= self.begin < self.end:
            raise ValueError(f"a span has a character at least, got {self.begin} to {self.end}")


class PersonalDataFinder(Protocol):
    """Finds some kinds of personal data. Called from several threads at once, with texts of up to 32 KiB."""

    @property
    def kinds(self) -> Sequence[str]:
        """All that it looks for; reports list them, so that nobody takes silence for proof."""
        ...

    def find(self, text: str) -> Sequence[PersonalSpan]:
        """Spans in any order, which may overlap; empty if there are none.

        Of the texts of a JSON output it is given the name of the field, a colon and the value. What it raises ends the
        check as a fault of the service.
        """
        ...


def without_overlaps(spans: Sequence[PersonalSpan]) -> list[PersonalSpan]:
    """By position, then what was not looked at; of those that overlap the first of the sequence stays."""
    kept: list[PersonalSpan] = []
    for span in (span for span in spans if span.kind != UNREAD):
        place = bisect_left(kept, span.begin, key=lambda other: other.begin)
        is_free_before = place == 0 or kept[place - 1].end <= span.begin
        if is_free_before and (place == len(kept) or span.end <= kept[place].begin):
            kept.insert(place, span)
    return [*kept, *(span for span in spans if span.kind == UNREAD)]
