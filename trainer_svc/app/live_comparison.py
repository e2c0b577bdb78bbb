"""How a revision is compared with one that became live after its evaluation."""

from __future__ import annotations

import logging
from typing import Protocol

from shared.errors import DataLoss
from shared.storage.base import BlobStore
from trainer_svc.domain.comparison import Comparison, MetricName
from trainer_svc.domain.evaluation import EvaluatedRow
from trainer_svc.domain.registry import Revision
from trainer_svc.domain.row_score import RowScore
from trainer_svc.evaluation.comparison import compare
from trainer_svc.store.codec import load

_log = logging.getLogger(__name__)

LEAST_ROWS = 20
"""That both answered; fewer show nothing, whatever they say."""
MOST_ROWS = 1_000
"""That are compared: a transaction of everybody's waits for it."""


class LiveComparison(Protocol):
    """Compares two published revisions by what is stored of their answers."""

    def compare(self, revision: Revision, live: Revision) -> tuple[Comparison, ...] | None:
        """`revision` against `live` in the task metric, paired on held-out rows that both answered; None for too few.

        Called inside a transaction, on the database's thread: generates nothing, takes some tenths of a second.
        """


class StoredAnswers:
    """Implements `LiveComparison` by the rows that the jobs of both left."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def compare(self, revision: Revision, live: Revision) -> tuple[Comparison, ...] | None:
        """By rows with the same input and golden output, in whichever dataset either met them.

        None, too, where they answer under other contracts or on other bases, and where stored answers rotted: that must
        not keep an alias from moving.
        """
        if (revision.contract, revision.base_model_digest) != (live.contract, live.base_model_digest):
            return None
        try:
            own, other = self._scores(revision), self._scores(live)
        except DataLoss:
            _log.exception("stored answers cannot be compared", extra={"revision": revision.name, "live": live.name})
            return None
        both = sorted(own.keys() & other.keys())[:MOST_ROWS]  # digests: their order is none of the rows'
        if len(both) < LEAST_ROWS:
            return None
        return (compare([own[key] for key in both], [other[key] for key in both], MetricName.TASK_METRIC),)

    def _scores(self, revision: Revision) -> dict[str, RowScore]:
        """Of the revision's own answers, by row; nothing where it was published without."""
        if not revision.evaluated_rows_digest:
            return {}
        lines = self._blobs.read(revision.evaluated_rows_digest).splitlines()
        rows = (load(EvaluatedRow, line.decode()) for line in lines)
        return {row.key: row.adapter.score for row in rows}
