"""What readers of uploads give, and its faults as tuples."""

from __future__ import annotations

from collections.abc import Iterable

from trainer_svc.curation.reader.row import Row, RowFault

Read = Row | RowFault


def told(rows: Iterable[Read]) -> list[tuple[int, str, str]]:
    """Number, reason and field of each row that has a fault."""
    return [(row.number, row.reason, row.field) for row in rows if isinstance(row, RowFault)]
