"""The steps of a curation. Rows are dropped whole or spelt anew, never cut."""

from __future__ import annotations

import dataclasses
import json
import random
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shared.contracts.spec import ContractSpec
from shared.digest import sha256_bytes
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.curation.likeness import Link, Relation, find_links
from trainer_svc.curation.majority import outvoted
from trainer_svc.curation.personal.base import PersonalDataFinder
from trainer_svc.curation.pseudonym.known import KnownPseudonyms
from trainer_svc.curation.pseudonym.replacement import Replacement
from trainer_svc.domain.curation import Change, CurationStep
from trainer_svc.domain.dataset import CheckedRow


@dataclass(frozen=True, slots=True)
class SplitRow:
    """A row and the split that it stays in."""

    split: str
    row: CheckedRow


@dataclass(frozen=True)
class Tools:
    """What steps need besides the rows."""

    spec: ContractSpec
    compiler: ExampleCompiler
    finder: PersonalDataFinder
    known: KnownPseudonyms
    """Of the source; those of this curation are added."""
    randomness: random.Random
    """Of pseudonyms."""
    max_row_tokens: int | None = None
    """Of `DROP_LONG_ROWS`."""


def curate(
    rows: Sequence[SplitRow], steps: Sequence[CurationStep], tools: Tools
) -> tuple[list[SplitRow], list[Change]]:
    """Rows after all steps in turn, and what each did, both by row.

    Of rows that repeat each other the first is kept, a held-out one before those that are trained on, a golden one
    before those that a teacher labelled.
    """
    kept, changes = sorted(rows, key=lambda row: (row.split != "holdout", row.row.synthetic, row.row.row)), []
    for step in steps:
        kept, changed = _STEPS[step](kept, tools)
        changes += changed
    return sorted(kept, key=lambda row: row.row.row), sorted(changes, key=lambda change: change.row_number)


_Stepped = tuple[list[SplitRow], list[Change]]


def _drop_duplicates(rows: list[SplitRow], _: Tools) -> _Stepped:
    links = [link for link in _links(rows) if link.relation is Relation.SAME]
    dropped = {link.second: f"repeats row {rows[link.first].row.row}" for link in links}
    return _without(rows, CurationStep.DROP_DUPLICATES, dropped)


def _drop_near_duplicates(rows: list[SplitRow], _: Tools) -> _Stepped:
    dropped: dict[int, str] = {}
    for link in sorted(_links(rows), key=lambda link: (link.second, link.first)):
        if link.relation is Relation.NEAR and link.first not in dropped:
            dropped[link.second] = f"is nearly row {rows[link.first].row.row}"
    return _without(rows, CurationStep.DROP_NEAR_DUPLICATES, dropped)


def _drop_contradictions(rows: list[SplitRow], _: Tools) -> _Stepped:
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


def _compose(rows: list[SplitRow], _: Tools) -> _Stepped:
    kept, changes = [], []
    for old in rows:
        new = dataclasses.replace(old, row=composed(old.row))
        if new != old:
            message = "letters and their accents are one"
            changes.append(
                Change(old.row.row, CurationStep.UNICODE_NFC, row_digest(old.row), row_digest(new.row), message)
            )
        kept.append(new)
    return kept, changes


def _replace(rows: list[SplitRow], tools: Tools) -> _Stepped:
    replacement = Replacement(tools.spec, tools.finder, tools.known, tools.randomness)
    outcomes = replacement.replace([row.row for row in rows])
    kept, changes = [], []
    for place, old in enumerate(rows):
        outcome = outcomes.get(place)
        if outcome is None:
            kept.append(old)
            continue
        after = row_digest(outcome.row) if outcome.row else ""
        changes.append(Change(old.row.row, CurationStep.REPLACE_PERSONAL_DATA, "", after, outcome.message))
        if outcome.row:
            kept.append(dataclasses.replace(old, row=outcome.row))
    return kept, changes


def _merge(rows: list[SplitRow], _: Tools) -> _Stepped:
    return _without(rows, CurationStep.MERGE_BY_MAJORITY, outvoted([row.row for row in rows]))


def _drop_long(rows: list[SplitRow], tools: Tools) -> _Stepped:
    most = tools.max_row_tokens
    assert most is not None, "a curation with this step has a limit"
    compiled = tools.compiler.tokenize(row.row for row in rows)
    sizes = (len(one.example.input_ids) if one.example else 0 for one in compiled)
    dropped = {place: f"takes {size} tokens, more than {most}" for place, size in enumerate(sizes) if size > most}
    return _without(rows, CurationStep.DROP_LONG_ROWS, dropped)


_STEPS: Mapping[CurationStep, Callable[[list[SplitRow], Tools], _Stepped]] = {
    CurationStep.DROP_DUPLICATES: _drop_duplicates,
    CurationStep.DROP_NEAR_DUPLICATES: _drop_near_duplicates,
    CurationStep.DROP_CONTRADICTIONS: _drop_contradictions,
    CurationStep.UNICODE_NFC: _compose,
    CurationStep.REPLACE_PERSONAL_DATA: _replace,
    CurationStep.MERGE_BY_MAJORITY: _merge,
    CurationStep.DROP_LONG_ROWS: _drop_long,
}


def _links(rows: list[SplitRow]) -> list[Link]:
    return find_links([row.row for row in rows])


def _without(rows: list[SplitRow], step: CurationStep, dropped: Mapping[int, str]) -> _Stepped:
    changes = [
        Change(rows[place].row.row, step, row_digest(rows[place].row), "", message)
        for place, message in dropped.items()
    ]
    return [row for place, row in enumerate(rows) if place not in dropped], changes


def row_digest(row: CheckedRow) -> str:
    """What a change names a row by."""
    return sha256_bytes(json.dumps([row.input, row.output], ensure_ascii=False).encode(errors="surrogatepass"))


def composed(row: CheckedRow) -> CheckedRow:
    """The row with letters and their accents as one."""
    text, output = (unicodedata.normalize("NFC", text) for text in (row.input, row.output))
    return dataclasses.replace(row, input=text, output=output)
