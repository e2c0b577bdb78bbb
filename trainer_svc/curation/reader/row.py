"""What a reader makes of an upload: rows, rows that it cannot read, and faults after which it cannot go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MAX_ROWS = 100_000
"""Blank lines included: twenty times the 5,000 beyond which more gain little, and 230 MB in a check (62 MB of them,
2026-11-22)."""
MAX_ROW_BYTES = 1 << 20
"""As it stands in the upload. The longest input and output, each byte written as an escape of six, take 288 KiB."""


@dataclass(frozen=True)
class Row:
    """The fields of one row, whatever they are; `number` is where the row begins."""

    number: int
    fields: Mapping[str, object]
    is_synthetic: bool = False
    """Whether a teacher wrote the output; never said by an upload itself."""


@dataclass(frozen=True)
class RowFault:
    """One row cannot be read; those after it can."""

    number: int
    reason: str
    field: str
    message: str
    is_blocking: bool = True
    """False of a row without an output that no usable one was found for: it is left out, and nobody's mistake."""
    related_rows: tuple[int, ...] = ()
    """The other rows that the fault is about."""


class FileFault(Exception):
    """Reading ends here: no policy can leave out what nobody has seen."""

    def __init__(self, reason: str, message: str, number: int = 1) -> None:
        super().__init__(message)
        self.reason, self.message, self.number = reason, message, number


def too_many_rows(number: int) -> FileFault:
    """The fault of an upload with more rows than a check holds."""
    message = f"has more than {MAX_ROWS} rows: keep a sample, beyond 5,000 rows little is gained"
    return FileFault("FILE_TOO_LARGE", message, number)
