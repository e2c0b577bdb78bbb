"""What a check leaves of a dataset: its state, and its rows as blobs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence

from shared.storage.base import BlobStore
from trainer_svc.curation.check import Checked
from trainer_svc.domain.dataset import CheckedRow, Dataset, DatasetState


def finish(blobs: BlobStore, dataset: Dataset, checked: Checked) -> Dataset:
    """The dataset as it stays, with its rows stored if it is usable."""
    if not checked.is_usable:
        return dataclasses.replace(dataset, state=DatasetState.FAILED, report=checked.report)
    return dataclasses.replace(
        dataset,
        state=DatasetState.ACTIVE,
        report=checked.report,
        train_rows=blobs.put_bytes(_lines(checked.train)),
        holdout_rows=blobs.put_bytes(_lines(checked.holdout)),
    )


def stored_rows(blobs: BlobStore, digest: str) -> Iterator[CheckedRow]:
    """Rows of `finish`."""
    return (CheckedRow(**json.loads(line)) for line in blobs.read(digest).splitlines())


def _lines(rows: Sequence[CheckedRow]) -> bytes:
    """Encoded one by one: text of 64 MiB with one emoji takes 256 MiB as a whole."""
    return b"".join(json.dumps(dataclasses.asdict(row), ensure_ascii=False).encode() + b"\n" for row in rows)
