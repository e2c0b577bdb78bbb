"""Physical lines of an upload in UTF-8, none longer than a row may be."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import BinaryIO

from trainer_svc.curation.reader.row import MAX_ROW_BYTES, FileFault

_UTF8 = ("utf-8", "utf-8-sig")
_MAGIC = {
    b"PAR1": "is Parquet: create the dataset with format PARQUET",
    b"\x1f\x8b": "is compressed with gzip: unpack it first",
    b"PK\x03\x04": "is a ZIP archive or a spreadsheet: export it as CSV or JSON Lines",
    b"\x28\xb5\x2f\xfd": "is compressed with Zstandard: unpack it first",
}


def lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Each line with its end, the first without a mark of byte order; None for one of more than a MiB.

    Raises:
        FileFault: FILE_UNREADABLE, the file is no text in UTF-8, by its first bytes.
    """
    _check_encoding(file.read(4))
    file.seek(0)
    if file.read(3) != codecs.BOM_UTF8:
        file.seek(0)
    while line := file.readline(MAX_ROW_BYTES + 1):
        if len(line) <= MAX_ROW_BYTES:
            yield line
        else:
            while not line.endswith(b"\n") and (line := file.readline(MAX_ROW_BYTES)):
                pass
            yield None


def _check_encoding(begin: bytes) -> None:
    for magic, message in _MAGIC.items():
        if begin.startswith(magic):
            raise FileFault("FILE_UNREADABLE", message)
    encoding = json.detect_encoding(begin)
    if encoding not in _UTF8:
        raise FileFault("FILE_UNREADABLE", f"is text in {encoding.upper()}, by its first bytes: save it as UTF-8")
