"""Hostile CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator

from goldsmith.trainer.v1 import golden_dataset_pb2 as golden
from tests.hostile_upload.attack import ACTIVE, TOO_SMALL, Attack, file_attack, good_rows, row_fault

_MIB = 1 << 20
UNREADABLE, TOO_LARGE = "FAILED FILE_UNREADABLE file", "FAILED FILE_TOO_LARGE file"
INVALID, VIOLATED = "ROW_INVALID", "CONTRACT_VIOLATED"

_ROWS: dict[str, tuple[bytes, str]] = {
    "a cell too few": (b"a", row_fault(INVALID)),
    "a cell too many": (b'a,"{""n"":1}",x', row_fault(INVALID)),
    "a million cells": (b"," * 1_000_000, row_fault(INVALID)),
    "an empty input": (b',"{""n"":1}"', row_fault(INVALID, "input")),
    "a byte that is not UTF-8": (b'\xff,"{""n"":1}"', row_fault(INVALID, "input")),
    "Latin-1": ('café,"{""n"":1}"'.encode("latin-1"), row_fault(INVALID, "input")),
    "a surrogate in UTF-8": (b'\xed\xa0\x80,"{""n"":1}"', row_fault(INVALID, "input")),
    "an input too long": (b"x" * 32_769 + b',"{""n"":1}"', row_fault(INVALID, "input")),
    "an input of 900 KB": (b"x" * 900_000 + b',"{""n"":1}"', row_fault(INVALID, "input")),
    "an output too long": (b"x," + b"1" * 16_385, row_fault(INVALID, "output")),
    "an empty output": (b"a,", row_fault(VIOLATED, "output")),
    "a number": (b"a,1", row_fault(VIOLATED, "output")),
    "a formula": (b'a,"=HYPERLINK(""http://x"")"', row_fault(VIOLATED, "output")),
    "a name twice": (b'a,"{""n"":1,""n"":2}"', row_fault(VIOLATED, "output")),
    "a quote never closed": (b'"a,b', UNREADABLE),
    "a quote closed too early": (b'"a"b,c', UNREADABLE),
    "a quote over many lines": (b'"' + b"x\n" * _MIB, UNREADABLE),
    "cells over many lines": (b'"' + b'\n","' * _MIB, UNREADABLE),
    "a row of two MiB": (b"x" * (2 * _MIB) + b",y", UNREADABLE),
    "an end of line of an old Mac": (b"a\rb,c", UNREADABLE),
    "doubled quotes without end": (b'"' + b'""' * _MIB, UNREADABLE),
    "a NUL byte": (b'a\x00b,"{""n"":1}"', ACTIVE),
    "ends of lines within": (b'"a\n\r\nb","{""n"":1}"', ACTIVE),
    "a formula as input": (b'=cmd|calc!A0,"{""n"":1}"', ACTIVE),
    "empty lines": (b"\n\n\r\n", ACTIVE),
}
_HEADERS: dict[str, bytes] = {
    "empty": b"",
    "semicolons": b"input;output",
    "tabs": b"input\toutput",
    "another column": b"input,output,label",
    "a column twice": b"input,input,output",
    "spaces": b"input, output",
    "capitals": b"INPUT,OUTPUT",
    "none": b"row 0,1",
    "a million columns": b",".join([b"input"] * 100_000),
    "a path": b"../input,output",
}


def _rows(count: int = 40) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(good_rows(count))
    return text.getvalue().encode()


def _with(row: bytes) -> Callable[[], bytes]:
    """A file with one more row, in the line where those of the other formats stand."""

    def make() -> bytes:
        lines = _rows().splitlines(keepends=True)
        return b"".join([b"input,output\n", *lines[:3], row + b"\n", *lines[3:]])

    return make


_FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", UNREADABLE),
    "a header alone": (lambda: b"input,output\n", TOO_SMALL),
    "a mark of byte order": (lambda: b"\xef\xbb\xbfinput,output\n" + _rows(), ACTIVE),
    "UTF-16": (lambda: b"input,output\n".decode().encode("utf-16") + _rows(), UNREADABLE),
    "UTF-16 without a mark": (lambda: (b"input,output\n" + _rows()).decode().encode("utf-16-le"), UNREADABLE),
    "a spreadsheet": (lambda: b"PK\x03\x04" + bytes(100), UNREADABLE),
    "a hundred thousand empty lines": (lambda: b"input,output\n" + b"\n" * 100_001, TOO_LARGE),
    "quotes alone": (lambda: b'"' * (10 * _MIB), UNREADABLE),
    "commas alone": (lambda: b"," * (10 * _MIB), UNREADABLE),
    "NUL bytes": (lambda: bytes(_MIB), UNREADABLE),
}


def attacks() -> Iterator[Attack]:
    """All of them."""
    kind = golden.GOLDEN_DATASET_FORMAT_CSV
    for name, (row, expected) in _ROWS.items():
        yield file_attack(f"CSV: {name}", expected, _with(row), kind)
    for name, header in _HEADERS.items():
        yield file_attack(f"CSV: a header: {name}", UNREADABLE, lambda header=header: header + b"\n" + _rows(), kind)
    for name, (make, expected) in _FILES.items():
        yield file_attack(f"CSV: a file: {name}", expected, make, kind)
