"""The steps of a curation. Rows are dropped whole or spelt anew, never cut."""

from __future__ import annotations

import dataclasses
import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shared.digest import sha256_bytes
from trainer_svc.curation.likeness import Link, Relation, find_links
from trainer_svc.domain.curation import Change, CurationStep
from trainer_svc.domain.dataset import CheckedRow


@dataclass(frozen=True, slots=True)
class SplitRow:
    """A row and the split that it stays in."""

    split: str
    row: CheckedRow


def curate(rows: Sequence[SplitRow], steps: Sequence[CurationStep]) -> tuple[list[SplitRow], list[Change]]:
    """Rows after all steps in turn, and what each did, both by row.

    Of rows that repeat each other the first is kept, a held-out one before those that are trained on, a golden one
    before those that a teacher labelled.
    """
    kept, changes = sorted(rows, key=lambda row: (row.split != "holdout", row.row.synthetic, row.row.row)), []
    for step in steps:
        kept, changed = _STEPS[step](kept)
        changes += changed
    return sorted(kept, key=lambda row: row.row.row), sorted(changes, key=lambda change: change.row_number)


_Stepped = tuple[list[SplitRow], list[Change]]


def _drop_duplicates(rows: list[SplitRow]) -> _Stepped:
    links = [link for link in _links(rows) if link.relation is Relation.SAME]
    dropped = {link.second: f"repeats row {rows[link.first].row.row}" for link in links}
    return _without(rows, CurationStep.DROP_DUPLICATES, dropped)


def _drop_near_duplicates(rows: list[SplitRow]) -> _Stepped:
    dropped: dict[int, str] = {}
    for link in sorted(_links(rows), key=lambda link: (link.second, link.first)):
        if link.relation is Relation.NEAR and link.first not in dropped:
            dropped[link.second] = f"is nearly row {rows[link.first].row.row}"
    return _without(rows, CurationStep.DROP_NEAR_DUPLICATES, dropped)


def _drop_contradictions(rows: list[SplitRow]) -> _Stepped:
    dropped: dict[int, str] = {}
    links = _links(rows)
    for link in links:
        if link.relation is Relation.CONTRADICTION:
            for place, other in ((link.first, link.second), (link.second, link.first)):
                dropped.setdefault(place, f"contradicts row {rows[other].row.row}")
    # Only the first of rows that repeat each other is linked to what contradicts it: the others go with it.
    repeats = {link.second: link.first for link in links if link.relation is Relation.SAME}
    dropped |= {place: dropped[first] for place, first in repeats.items() if first in dropped}
    return _without(rows, CurationStep.DROP_CONTRADICTIONS, dropped)


def _compose(rows: list[SplitRow]) -> _Stepped:
    kept, changes = [], []
    for old in rows:
        text, output = (unicodedata.normalize("NFC", text) for text in (old.row.input, old.row.output))
        new = dataclasses.replace(old, row=dataclasses.replace(old.row, input=text, output=output))
        if new != old:
            message = "letters and their accents are one"
            changes.append(Change(old.row.row, CurationStep.UNICODE_NFC, _digest(old.row), _digest(new.row), message))
        kept.append(new)
    return kept, changes


_STEPS: Mapping[CurationStep, Callable[[list[SplitRow]], _Stepped]] = {
    CurationStep.DROP_DUPLICATES: _drop_duplicates,
    CurationStep.DROP_NEAR_DUPLICATES: _drop_near_duplicates,
    CurationStep.DROP_CONTRADICTIONS: _drop_contradictions,
    CurationStep.UNICODE_NFC: _compose,
}


def _links(rows: list[SplitRow]) -> list[Link]:
    return find_links([row.row for row in rows])


def _without(rows: list[SplitRow], step: CurationStep, dropped: Mapping[int, str]) -> _Stepped:
    changes = [
        Change(rows[place].row.row, step, _digest(rows[place].row), "", message) for place, message in dropped.items()
    ]
    return [row for place, row in enumerate(rows) if place not in dropped], changes


def _digest(row: CheckedRow) -> str:
    return sha256_bytes(json.dumps([row.input, row.output], ensure_ascii=False).encode())
