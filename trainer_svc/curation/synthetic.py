"""Rows labelled by a teacher beside golden ones: only ever trained on, and only where they add something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from trainer_svc.curation.likeness import Link, Relation, cluster, find_links
from trainer_svc.curation.split import split_by_cluster
from trainer_svc.domain.dataset import CheckedRow, Finding
from trainer_svc.domain.teacher import SyntheticReport

_Rows = list[CheckedRow]
_REPEATS = (Relation.SAME, Relation.NEAR)
_ROUNDS = 4
"""Links name enough pairs of a cluster, not all: without a row that was dropped others show. Of those that are left
after so many the report tells, as of golden ones."""


def sift(train: Sequence[CheckedRow], holdout: Sequence[CheckedRow], seed: int) -> tuple[_Rows, _Rows, list[Finding]]:
    """Rows to train on, rows held out, and a finding for each synthetic row that is in neither.

    The holdout is chosen as if there were golden rows alone, and no golden row is dropped or moved for a synthetic
    one. Where no golden row can be held out the holdout stays empty.
    """
    golden, made = [row for row in train if not row.synthetic], [row for row in train if row.synthetic]
    held = list(holdout)
    if not held and golden:
        golden, held = split_by_cluster(golden, cluster(len(golden), find_links(golden)), seed)
    findings = {found.row_number: found for found in _leaks(held, made)}
    made = [row for row in made if row.row not in findings]
    for _ in range(_ROUNDS):
        more = {found.row_number: found for found in _repeats(golden, made)}
        findings |= more
        made = [row for row in made if row.row not in more]
        if not more:
            break
    return sorted([*golden, *made], key=lambda row: row.row), held, list(findings.values())


def synthetic_report(train: Sequence[CheckedRow], dropped: Mapping[int, str]) -> SyntheticReport | None:
    """Counts; None where every row came with its output. `dropped` has the reason by row."""
    kept = sum(row.synthetic for row in train)
    if not kept and not dropped:
        return None
    return SyntheticReport(kept + len(dropped), kept, dict(Counter(dropped.values())))


def _leaks(held: Sequence[CheckedRow], made: Sequence[CheckedRow]) -> Iterator[Finding]:
    """Rows that belong to a held-out one: the score would be of what the teacher said of it.

    Golden train rows are left out, over which long chains of rows that are each a little alike would lead anywhere.
    """
    clusters = cluster(len(held) + len(made), find_links([*held, *made]))
    firsts = {label: row.row for row, label in reversed(list(zip(held, clusters, strict=False)))}
    for row, label in zip(made, clusters[len(held) :], strict=True):
        if label in firsts:
            yield _finding(row, "SYNTHETIC_LEAKED", f"is like row {firsts[label]}, which is held out", firsts[label])


def _repeats(golden: Sequence[CheckedRow], made: Sequence[CheckedRow]) -> Iterator[Finding]:
    rows = [*golden, *made]  # the first two of a link are in this order: what is dropped is never golden
    dropped: set[int] = set()
    for link in sorted(find_links(rows), key=lambda link: (link.second, link.first)):
        row, other = rows[link.second], rows[link.first]
        if not row.synthetic or {link.first, link.second} & dropped:
            continue
        if link.relation in _REPEATS:
            dropped.add(link.second)
            message = f"has nearly the same input as row {other.row}, and its output"
            yield _finding(row, "SYNTHETIC_DUPLICATED", message, other.row)
        elif _is_outvoted(link, other):
            dropped.add(link.second)
            message = f"has nearly the same input as golden row {other.row}, but another output"
            yield _finding(row, "SYNTHETIC_CONTRADICTS", message, other.row)


def _is_outvoted(link: Link, other: CheckedRow) -> bool:
    return link.relation is Relation.CONTRADICTION and not other.synthetic


def _finding(row: CheckedRow, reason: str, message: str, other: int) -> Finding:
    return Finding(row.row, reason, f"rows[{row.row}].input", message, blocking=False, related_rows=(other,))
