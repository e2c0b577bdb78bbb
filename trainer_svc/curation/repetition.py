"""What the report says of rows that repeat, contradict or give away each other."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from trainer_svc.curation.likeness import Link, Relation
from trainer_svc.domain.dataset import MAX_RELATED_ROWS, CheckedRow, Finding

_NAMED_ROWS = 10
"""Of a cluster in one message."""


def repetition_findings(
    rows: Sequence[CheckedRow], links: Sequence[Link], clusters: Sequence[int], held: AbstractSet[int]
) -> Iterator[Finding]:
    """Findings about single rows; `held` are the numbers of rows that are held out."""
    others: defaultdict[tuple[int, Relation], list[int]] = defaultdict(list)
    for link in links:
        first, second = rows[link.first].row, rows[link.second].row
        others[second, link.relation].append(first)
        if link.relation is Relation.CONTRADICTION:
            others[first, link.relation].append(second)
    for (number, relation), found in others.items():
        same_side = [other for other in found if (other in held) == (number in held)]
        if relation is Relation.CONTRADICTION:
            yield _contradiction(number, found)
        elif relation is Relation.SAME and same_side:
            message = f"repeats {_named(same_side)}: it counts twice in training"
            yield _finding(number, "ROW_DUPLICATED", "input", message, same_side)
        elif relation is Relation.NEAR and same_side:
            message = f"has nearly the same input as {_named(same_side)}, and the same output"
            yield _finding(number, "ROW_NEARLY_DUPLICATED", "input", message, same_side)
    yield from _leaks(rows, clusters, held)


def _contradiction(number: int, found: list[int]) -> Finding:
    message = f"has nearly the same input as {_named(found)}, but another output"
    return _finding(number, "ROWS_CONTRADICT", "output", message, found)


def _leaks(rows: Sequence[CheckedRow], clusters: Sequence[int], held: AbstractSet[int]) -> Iterator[Finding]:
    trained: defaultdict[int, list[int]] = defaultdict(list)
    for row, label in zip(rows, clusters, strict=True):
        if row.row not in held:
            trained[label].append(row.row)
    messages = {
        label: f"is held out, and trained on as {_named(numbers)}: the evaluation flatters"
        for label, numbers in trained.items()
    }
    firsts = {label: heapq.nsmallest(MAX_RELATED_ROWS, numbers) for label, numbers in trained.items()}
    for row, label in zip(rows, clusters, strict=True):
        if row.row in held and label in messages:
            yield _finding(row.row, "HOLDOUT_LEAKED", "input", messages[label], firsts[label])


def _finding(number: int, reason: str, field: str, message: str, others: Sequence[int]) -> Finding:
    related = tuple(sorted(set(others)))
    return Finding(number, reason, f"rows[{number}].{field}", message, blocking=False, related_rows=related)


def _named(numbers: list[int]) -> str:
    shown = ", ".join(map(str, sorted(numbers)[:_NAMED_ROWS]))
    more = f" and {len(numbers) - _NAMED_ROWS} more" if len(numbers) > _NAMED_ROWS else ""
    return f"row{'s' if len(numbers) > 1 else ''} {shown}{more}"
