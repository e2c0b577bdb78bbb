"""Changes with the rows that they were made to: found again among what is stored, by their digests."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from shared.errors import DataLoss
from shared.storage.base import BlobStore
from trainer_svc.curation.row_file import find_rows
from trainer_svc.curation.step import composed, row_digest
from trainer_svc.domain.curation import Change, RowText, ToldChange
from trainer_svc.domain.dataset import CheckedRow, Dataset

_log = logging.getLogger(__name__)


def tell(blobs: BlobStore, changes: Sequence[Change], source: Dataset | None, made: Dataset) -> list[ToldChange]:
    """Each change with the row before and after, where a stored row, or one composed from it, has its digest.

    A row in which personal data was replaced has no digest before the step, so that it is never told.
    """
    numbers = {change.row_number for change in changes}
    rows = [row for dataset in (source, made) if dataset is not None for row in _stored(blobs, dataset, numbers)]
    found = {row_digest(row): row for row in (*rows, *map(composed, rows))}
    texts = {digest: RowText.of(row.input, row.output) for digest, row in found.items()}
    return [ToldChange(change, texts.get(change.before), texts.get(change.after)) for change in changes]


def _stored(blobs: BlobStore, dataset: Dataset, numbers: set[int]) -> Iterator[CheckedRow]:
    for digest in filter(None, (dataset.train_rows, dataset.holdout_rows)):
        try:
            yield from find_rows(blobs.read(digest), numbers).values()
        except DataLoss:
            _log.warning("rows are not told, their blob is gone", extra={"dataset": dataset.name, "blob": digest})
