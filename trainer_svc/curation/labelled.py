"""An upload with a teacher's answers in the places of outputs that it came without."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shared.contracts.spec import ContractSpec
from trainer_svc.curation.agreement import Reply, agree
from trainer_svc.curation.question import Unlabelled, has_output
from trainer_svc.curation.reader.row import FileFault, Row, RowFault
from trainer_svc.domain.dataset import DatasetFormat
from trainer_svc.domain.teacher import Labelling

Replies = Mapping[int, Sequence[Reply]]
"""By row, as many as were asked for."""


@dataclass(frozen=True)
class Labels:
    """What came of a labelling; as it is by default, of a dataset without a teacher."""

    unlabelled: Unlabelled = field(default_factory=Unlabelled)
    replies: Replies = field(default_factory=dict)
    min_agreement: float = 1.0
    labelling: Labelling | None = None
    """Where the answers come from; None without any."""
    fault: FileFault | None = None
    """Why there are no labels, and no dataset."""

    def applied(
        self, rows: Iterable[Row | RowFault], format_: DatasetFormat, spec: ContractSpec
    ) -> Iterator[Row | RowFault]:
        """Rows as a check wants them: each with an output, or with what is wrong. Raises `FileFault`."""
        if self.fault is not None:
            raise self.fault
        for row in rows:
            if isinstance(row, RowFault) or has_output(row, format_):
                yield row
            else:
                yield self._labelled(row, spec)

    def _labelled(self, row: Row, spec: ContractSpec) -> Row | RowFault:
        text = self.unlabelled.questions.get(row.number)
        if row.number in self.unlabelled.dropped:
            return self.unlabelled.dropped[row.number]
        if text is None:
            return _held_out(row) if row.fields.get("split") == "holdout" else row  # what is wrong, the check says
        if self.unlabelled.refusal:
            message = f"has no output, and the teacher was not asked: {self.unlabelled.refusal}"
            return RowFault(row.number, "TEACHER_NOT_ASKED", "output", message, is_blocking=False)
        return agree(row.number, text, self.replies[row.number], spec, self.min_agreement)


UNLABELLED = Labels()


def _held_out(row: Row) -> RowFault:
    return RowFault(row.number, "ROW_INVALID", "output", "is missing: what is held out is golden, never labelled")
