"""What a check leaves of a dataset: its state, and its rows as blobs."""

from __future__ import annotations

import dataclasses

from shared.storage.base import BlobStore
from trainer_svc.curation.check import Checked
from trainer_svc.curation.row_file import dump_rows
from trainer_svc.domain.dataset import Dataset, DatasetState


def finish(blobs: BlobStore, dataset: Dataset, checked: Checked) -> Dataset:
    """The dataset as it stays, with its rows stored if it is usable."""
    if not checked.is_usable:
        return dataclasses.replace(dataset, state=DatasetState.FAILED, report=checked.report)
    return dataclasses.replace(
        dataset,
        state=DatasetState.ACTIVE,
        report=checked.report,
        train_rows=blobs.put_bytes(dump_rows(checked.train)),
        holdout_rows=blobs.put_bytes(dump_rows(checked.holdout)),
    )
