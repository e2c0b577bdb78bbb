"""What the report says of the texts of single rows, whatever stands in the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.contracts.spec import ContractKind
from trainer_svc.curation.chatter import chatter
from trainer_svc.curation.damage import damages
from trainer_svc.curation.leaf import leaves
from trainer_svc.domain.dataset import CheckedRow, Finding

_CHATTY = "speaks to a person ({!r}), in an answer that a program reads"


def text_findings(kind: ContractKind, rows: Sequence[CheckedRow]) -> Iterator[Finding]:
    """Findings by row and place: damaged text, hidden signs, answers that chat."""
    for row in rows:
        for reason, message in damages(row.input):
            yield Finding(row.row, reason, f"rows[{row.row}].input", message, blocking=False)
        for leaf in leaves(kind, row.output):
            if not isinstance(leaf.value, str):
                continue
            path = f"rows[{row.row}].output" + (f"#{leaf.pointer}" if leaf.pointer else "")
            for reason, message in damages(leaf.value):
                yield Finding(row.row, reason, path, message, blocking=False)
            if words := chatter(leaf.value, row.input):
                yield Finding(row.row, "OUTPUT_CHATTY", path, _CHATTY.format(words), blocking=False)
