"""JSON Lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import BinaryIO, NoReturn

from trainer_svc.curation.reader.line import lines
from trainer_svc.curation.reader.row import MAX_ROW_BYTES, MAX_ROWS, Row, RowFault, too_many_rows


def read_json_lines(file: BinaryIO) -> Iterator[Row | RowFault]:
    """Rows by line; blank lines are passed over. Raises `FileFault`."""
    for number, line in enumerate(lines(file), 1):
        if number > MAX_ROWS:
            raise too_many_rows(number)
        if line is None:
            yield RowFault(number, "ROW_INVALID", "", f"has more than {MAX_ROW_BYTES} bytes")
        elif line.strip():
            yield parse_line(number, line)


def parse_line(number: int, line: bytes) -> Row | RowFault:
    """The fields of one line; a name that stands twice, NaN and infinities are refused (RFC 8259, 4 and 6)."""
    try:
        fields = json.loads(line.decode(), object_pairs_hook=_object, parse_constant=_refuse, parse_float=_number)
    except (ValueError, RecursionError) as err:
        return RowFault(number, "ROW_NOT_JSON", "", f"is not JSON in UTF-8: {err}")
    if not isinstance(fields, dict):
        return RowFault(number, "ROW_NOT_JSON", "", "must be a JSON object")
    return Row(number, fields)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"an object has the name {twice[:80]!r} twice")
    return fields


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:40]} is too large")
    return value
