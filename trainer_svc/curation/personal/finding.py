"""What the report says of personal data: where it is and what kind, never the data itself."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

from shared.contracts.spec import ContractKind
from trainer_svc.curation.leaf import leaves
from trainer_svc.curation.personal.base import PersonalDataFinder
from trainer_svc.domain.dataset import CheckedRow, Finding

_NAMED_SPANS = 5
"""Of one kind in one message."""
_MAX_SECONDS = 120.0
"""Of processor time: 5,000 rows of real data take 10, and rows that are made for it could take hours."""


def personal_findings(kind: ContractKind, rows: Sequence[CheckedRow], finder: PersonalDataFinder) -> Iterator[Finding]:
    """One finding for each row, place and kind; the last one says so if the time was up before all rows were read."""
    end = time.thread_time() + _MAX_SECONDS
    for count, row in enumerate(rows):
        if time.thread_time() > end:
            message = f"was looked for in {count} of {len(rows)} rows: reading them took {_MAX_SECONDS:g} s"
            yield Finding(row.row, "PERSONAL_DATA", "rows", message, blocking=False)
            return
        yield from _of_text(row.row, "input", "", row.input, finder)
        for leaf in leaves(kind, row.output):
            if leaf.value is None or isinstance(leaf.value, bool):
                continue
            name = leaf.pointer.rpartition("/")[2]
            path = "output" + (f"#{leaf.pointer}" if leaf.pointer else "")
            yield from _of_text(row.row, path, f"{name}: " if name else "", str(leaf.value), finder)


def _of_text(row: int, path: str, label: str, text: str, finder: PersonalDataFinder) -> Iterator[Finding]:
    """`label` is read with the text, since "phone: 4417 2203" says more than the number, and not told of."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for span in finder.find(label + text):
        begin, end = max(0, span.begin - len(label)), span.end - len(label)
        if end > len(text):
            raise ValueError(f"{type(finder).__name__} found {span.kind} at {begin} to {end} of {len(text)} characters")
        if end > 0:
            places[span.kind].append(f"{begin}-{end}")
    for kind, found in places.items():
        shown = ", ".join(found[:_NAMED_SPANS])
        more = f" and {len(found) - _NAMED_SPANS} more" if len(found) > _NAMED_SPANS else ""
        message = f"holds {kind}: characters {shown}{more}"
        yield Finding(row, "PERSONAL_DATA", f"rows[{row}].{path}", message, blocking=False)
