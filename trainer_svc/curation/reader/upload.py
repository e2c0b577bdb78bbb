"""The reader of each format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trainer_svc.curation.reader.csv_rows import read_csv
from trainer_svc.curation.reader.json_lines import read_json_lines
from trainer_svc.curation.reader.parquet import read_parquet
from trainer_svc.curation.reader.row import Row, RowFault
from trainer_svc.domain.dataset import DatasetFormat


def read_upload(file: Path, format_: DatasetFormat, scratch: Path) -> Iterator[Row | RowFault]:
    """Rows in their order; `scratch` is a folder for what a format needs on the way. Raises `FileFault`."""
    if format_ is DatasetFormat.PARQUET:
        yield from read_parquet(file, scratch)
        return
    with file.open("rb") as data:
        yield from read_csv(data) if format_ is DatasetFormat.CSV else read_json_lines(data)
