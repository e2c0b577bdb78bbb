"""CSV as RFC 4180 has it: a header, commas, quotes doubled within quotes; every cell is text."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from trainer_svc.curation.reader.line import lines
from trainer_svc.curation.reader.row import MAX_ROW_BYTES, MAX_ROWS, FileFault, Row, RowFault, too_many_rows

_REQUIRED, _OPTIONAL = ("input", "output"), ("split",)
_BAD_BYTE = re.compile("[\udc80-\udcff]")
"""What `surrogateescape` makes of bytes that are not UTF-8."""
_NAMED = 10


def read_csv(file: BinaryIO) -> Iterator[Row | RowFault]:
    """Rows by the line in which they begin; an empty cell of `split` is none. Raises `FileFault`."""
    csv.field_size_limit(MAX_ROW_BYTES)  # of the process, which reads no other CSV; ours ends a row before it does
    text = _Lines(file)
    records = _records(csv.reader(text, strict=True), text)
    header = _header(next(records, (1, []))[1])
    for count, (number, cells) in enumerate(records, 1):
        if count > MAX_ROWS:
            raise too_many_rows(number)
        if cells:
            yield _row(number, header, cells)


class _Lines:
    """Decoded lines for the csv module, which asks for the next one as long as a quote is open."""

    def __init__(self, file: BinaryIO) -> None:
        self._lines = lines(file)
        self.number = 0
        self.first = 1
        self._left_bytes = MAX_ROW_BYTES

    def begin(self) -> None:
        """The next line begins a record."""
        self.first, self._left_bytes = self.number + 1, MAX_ROW_BYTES

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        self._left_bytes -= MAX_ROW_BYTES + 1 if line is None else len(line)
        if line is None or self._left_bytes < 0:
            message = f"the record has more than {MAX_ROW_BYTES} bytes: is a quote not closed?"
            raise FileFault("FILE_UNREADABLE", message, self.first)
        return line.decode(errors="surrogateescape")


def _records(reader: Iterator[list[str]], text: _Lines) -> Iterator[tuple[int, list[str]]]:
    while True:
        text.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as err:
            message = f"is not CSV: {err}; what follows was not read"
            raise FileFault("FILE_UNREADABLE", message, text.first) from err
        yield text.first, cells


def _header(cells: list[str]) -> Sequence[str]:
    unknown = [name for name in cells if name not in _REQUIRED + _OPTIONAL]
    missing = [name for name in _REQUIRED if name not in cells]
    if unknown or missing or len(set(cells)) < len(cells):
        named = ", ".join(repr(name[:40]) for name in cells[:_NAMED]) or "nothing"
        wanted = "the columns input, output and, if wanted, split, separated by commas"
        raise FileFault("FILE_UNREADABLE", f"the first line must name {wanted}; it names {named}")
    return cells


def _row(number: int, header: Sequence[str], cells: list[str]) -> Row | RowFault:
    if len(cells) != len(header):
        return RowFault(number, "ROW_INVALID", "", f"has {len(cells)} cells, the header has {len(header)}")
    for name, cell in zip(header, cells, strict=True):
        if found := _BAD_BYTE.search(cell):
            message = f"is not text in UTF-8: byte 0x{ord(found[0]) - 0xDC00:02x} at character {found.start() + 1}"
            return RowFault(number, "ROW_INVALID", name, message)
    return Row(number, {name: cell for name, cell in zip(header, cells, strict=True) if cell or name != "split"})
