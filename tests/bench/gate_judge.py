"""Which of the gate's findings found what was planted, and which of them are true."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from shared.contracts.check import canonicalise
from shared.contracts.spec import ContractSpec
from tests.bench.gate_fault import Planted
from tests.bench.gate_personal import is_personal
from tests.bench.gate_repetition import is_repeated
from tests.bench.gate_set import Row
from trainer_svc.domain.dataset import Finding

DUPLICATE, PERSONAL = "duplicates", "pii"
_COPIES = frozenset({"duplicate", "near-duplicate", "leak"})
"""Faults that are a row which says what its source says."""


@dataclass(frozen=True)
class Judged:
    """One claim of a finding: that a row repeats one other, or that some characters are personal data."""

    kind: str
    is_true: bool
    finding: Finding
    claim: str


def is_found(one: Planted, finding: Finding, row: Row, spec: ContractSpec) -> bool:
    """Whether a finding in the fault's row tells of this fault; of personal data only at the place of what was put in.

    Of a copy any of the rows that it repeats will do: its source may have been one of several.
    """
    place = finding.path.partition(".")[2]
    if finding.reason not in one.reasons or one.words not in finding.message or not place.startswith(one.path):
        return False
    if not one.value:
        return True
    text, (_, spans) = _text_at(row, finding.path, spec), _spans(finding)
    return any(_overlap(one.value, text, begin, end) for begin, end in spans)


def judged(
    rows: Sequence[Row], spec: ContractSpec, planted: Iterable[Planted], findings: Iterable[Finding]
) -> Iterator[Judged]:
    """All claims on duplicates and personal data; what was planted is true by that, what was not is judged."""
    sources = {(one.row, one.source) for one in planted if one.fault in _COPIES}
    values = {(one.row, one.words): one for one in planted if one.value}
    for finding in findings:
        row = rows[finding.row_number - 1]
        if finding.reason in ("ROW_DUPLICATED", "ROW_NEARLY_DUPLICATED"):
            for number in finding.related_rows:
                is_copy = not sources.isdisjoint({(finding.row_number, number), (number, finding.row_number)})
                exactly = finding.reason == "ROW_DUPLICATED"
                is_true = is_copy or is_repeated(row, rows[number - 1], exactly=exactly)
                yield Judged(DUPLICATE, is_true, finding, rows[number - 1].input)
        elif finding.reason == "PERSONAL_DATA":
            kind, spans = _spans(finding)
            text = _text_at(row, finding.path, spec)
            own = values.get((finding.row_number, kind))
            for begin, end in spans:
                is_planted = own is not None and _lies_within(own.value, text, begin, end)
                yield Judged(PERSONAL, is_planted or is_personal(kind, text, begin, end), finding, text[begin:end])


def _spans(finding: Finding) -> tuple[str, list[tuple[int, int]]]:
    """What a finding says it is, and the places that it names."""
    kind, _, places = finding.message.removeprefix("holds ").partition(": characters ")
    return kind, [(int(begin), int(end)) for begin, end in re.findall(r"(\d+)-(\d+)", places)]


def _lies_within(value: str, text: str, begin: int, end: int) -> bool:
    """Whether characters are part of a planted value, wherever it stands in the text."""
    return any(found.start() <= begin and end <= found.end() for found in re.finditer(re.escape(value), text))


def _overlap(value: str, text: str, begin: int, end: int) -> bool:
    """Whether characters are part of a planted value, or hold all of it but the words before a number."""
    return _lies_within(value, text, begin, end) or re.sub(r"^[a-z][a-z. :]+ ", "", value) in text[begin:end]


def _text_at(row: Row, path: str, spec: ContractSpec) -> str:
    """What a finding's path points to; places in SQL count in its canonical form, as it is trained on."""
    field, _, pointer = path.partition(".")[2].partition("#")
    if field == "input":
        return row.input
    if not pointer:
        return canonicalise(spec, row.output)
    value = json.loads(row.output)
    for part in pointer.split("/")[1:]:
        value = value[int(part)] if isinstance(value, list) else value[part.replace("~1", "/").replace("~0", "~")]
    return str(value)
