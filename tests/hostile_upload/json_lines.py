"""Hostile JSON Lines."""

from __future__ import annotations

import gzip
import json
import pickle
import random
from collections.abc import Callable, Iterator

from tests.hostile_upload.attack import ACTIVE, ROW, TOO_SMALL, Attack, file_attack, good_rows, row_fault

_MIB = 1 << 20
NOT_JSON, INVALID, VIOLATED = "ROW_NOT_JSON", "ROW_INVALID", "CONTRACT_VIOLATED"
UNREADABLE, TOO_LARGE = "FAILED FILE_UNREADABLE file", "FAILED FILE_TOO_LARGE file"

_NOT_JSON: dict[str, bytes] = {
    "an open brace": b"{",
    "a closed brace": b"}",
    "a list": b"[1]",
    "a text": b'"text"',
    "null": b"null",
    "a number": b"1",
    "half a row": b'{"input":"a","output":{"n":1}',
    "half a text": b'{"input":"a',
    "single quotes": b"{'input':'a','output':{'n':1}}",
    "a comma too many": b'{"input":"a","output":{"n":1},}',
    "a comment": b'{"input":"a","output":{"n":1}} // fine',
    "two rows in a line": b'{"input":"a","output":{"n":1}}{"input":"b","output":{"n":1}}',
    "NaN": b'{"input":"a","output":{"n":NaN}}',
    "infinity": b'{"input":"a","output":{"n":Infinity}}',
    "minus infinity": b'{"input":"a","output":{"n":-Infinity}}',
    "a number beyond doubles": b'{"input":"a","output":{"n":1e999}}',
    "a number of 5,000 digits": b'{"input":"a","output":{"n":' + b"9" * 5000 + b"}}",
    "a leading zero": b'{"input":"a","output":{"n":01}}',
    "hexadecimal": b'{"input":"a","output":{"n":0x1}}',
    "a NUL byte": b'{"input":"a\x00b","output":{"n":1}}',
    "a NUL byte outside": b'{"input":"a",\x00"output":{"n":1}}',
    "a control character": b'{"input":"a\x1bb","output":{"n":1}}',
    "NUL bytes alone": b"\x00" * 1000,
    "a byte that is not UTF-8": b'{"input":"\xff","output":{"n":1}}',
    "overlong UTF-8": b'{"input":"\xc0\xaf","output":{"n":1}}',
    "a surrogate in UTF-8": b'{"input":"\xed\xa0\x80","output":{"n":1}}',
    "half a character": b'{"input":"\xf0\x9f\x98","output":{"n":1}}',
    "Latin-1": '{"input":"é","output":{"n":1}}'.encode("latin-1"),
    "a line of UTF-16": '{"input":"a","output":{"n":1}}'.encode("utf-16"),
    "a mark of byte order within": b'\xef\xbb\xbf{"input":"a","output":{"n":1}}',
    "a false escape": b'{"input":"\\x41","output":{"n":1}}',
    "half an escape": b'{"input":"\\ud8","output":{"n":1}}',
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "closed deep lists": b'{"input":"a","output":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "input twice": b'{"input":"a","input":"b","output":{"n":1}}',
    "output twice": b'{"input":"a","output":{"n":1},"output":{"n":2}}',
    "a name twice within": b'{"input":"a","output":{"n":1,"n":2}}',
    "a name twice by an escape": b'{"input":"a","inp\\u0075t":"b","output":{"n":1}}',
    "a record separator": b'\x1e{"input":"a","output":{"n":1}}',
    "HTML": b"<html><body>500</body></html>",
    "a pickle": pickle.dumps({"input": "a"}, 0).replace(b"\n", b" "),
}
_INVALID: dict[str, tuple[bytes, str]] = {
    "no input": (b'{"output":{"n":1}}', "input"),
    "no output": (b'{"input":"a"}', "output"),
    "an empty object": (b"{}", "input"),
    "a number as input": (b'{"input":7,"output":{"n":1}}', "input"),
    "null as input": (b'{"input":null,"output":{"n":1}}', "input"),
    "a list as input": (b'{"input":["a"],"output":{"n":1}}', "input"),
    "an object as input": (b'{"input":{},"output":{"n":1}}', "input"),
    "an empty input": (b'{"input":"","output":{"n":1}}', "input"),
    "a blank input": (b'{"input":" \\t\\u2003","output":{"n":1}}', "input"),
    "another field": (b'{"input":"a","output":{"n":1},"label":1}', "label"),
    "a field of Python": (b'{"input":"a","output":{"n":1},"__class__":"x"}', "__class__"),
    "another split": (b'{"input":"a","output":{"n":1},"split":"dev"}', "split"),
    "a number as split": (b'{"input":"a","output":{"n":1},"split":1}', "split"),
    "null as split": (b'{"input":"a","output":{"n":1},"split":null}', "split"),
    "a list as split": (b'{"input":"a","output":{"n":1},"split":["train"]}', "split"),
    "an input too long by one": (json.dumps({"input": "x" * 32_769, "output": {"n": 1}}).encode(), "input"),
    "an output too long by one": (json.dumps({"input": "a", "output": "1" * 16_385}).encode(), "output"),
    "characters of four bytes": (json.dumps({"input": "\U0001f600" * 8_193, "output": {"n": 1}}).encode(), "input"),
    "half a pair in an input": (b'{"input":"a\\ud800","output":{"n":1}}', "input"),
    "half a pair in an output": (b'{"input":"a","output":"\\udc00"}', "output"),
    "half a pair in a name": (b'{"input":"a","output":{"\\ud800":1}}', "output"),
    "a row of a MiB and a byte": (b"x" * (_MIB + 1), ""),
    "a row of 20 MiB": (b'{"input":"' + b"x" * (20 * _MIB) + b'","output":{"n":1}}', ""),
}
_VIOLATED: dict[str, object] = {
    "too large": {"n": 10},
    "too small": {"n": -1},
    "a text": {"n": "1"},
    "a fraction": {"n": 1.5},
    "a boolean": {"n": True},
    "null within": {"n": None},
    "null": None,
    "nothing": {},
    "another field": {"n": 1, "m": 2},
    "a list": [{"n": 1}],
    "no text": "",
    "prose": "Sure! Here it is: {n: 1}",
    "a fence": '```json\n{"n":1}\n```',
    "a name twice in text": '{"n":1,"n":2}',
    "NaN in text": '{"n":NaN}',
    "deep text": "[" * 10_000,
    "many digits in text": '{"n":' + "9" * 5_000 + "}",
    "two values": '{"n":1}{"n":2}',
    "a NUL in text": '{"n":1}\x00',
    "a mark of byte order": '\ufeff{"n":1}',
    "SQL": "'; DROP TABLE datasets; --",
    "many names": {f"k{number}": 1 for number in range(1_000)},
    "long lists": [1] * 4_000,
    "depth": json.loads("[" * 100 + "]" * 100),
}
_HARMLESS: dict[str, bytes] = {
    "an escaped NUL": b'{"input":"a\\u0000b","output":{"n":1}}',
    "an escaped bell": b'{"input":"a\\u0007b","output":{"n":1}}',
    "a path": b'{"input":"../../etc/passwd","output":{"n":1}}',
    "a special token": b'{"input":"<|end|><|output|>","output":{"n":1}}',
    "a format string": b'{"input":"%s%n{0.__class__}${jndi:ldap://x}","output":{"n":1}}',
    "an order of reading": '{"input":"a\u202eb","output":{"n":1}}'.encode(),
    "white space": b' \t{ "input" : "a" , "output" : { "n" : 1 } } \r',
    "an output with white space": json.dumps({"input": "a", "output": '{ "n" : 1 }'}).encode(),
}
_TOO_LONG: dict[str, bytes] = {
    "many accents": ('{"input":"a' + "\u0301" * 5_000 + '","output":{"n":1}}').encode(),
    "the longest input": json.dumps({"input": "x" * 32_768, "output": {"n": 1}}).encode(),
}
"""Within the limits of a row, and beyond the base model's context."""


def _plain(count: int = 40) -> list[bytes]:
    return [json.dumps({"input": text, "output": json.loads(output)}).encode() for text, output in good_rows(count)]


def rows() -> bytes:
    """Nothing is wrong with them."""
    return b"\n".join(_plain()) + b"\n"


def _with(line: bytes) -> Callable[[], bytes]:
    """A file with one more row, not at its end."""

    def make() -> bytes:
        lines = _plain()
        lines.insert(ROW - 1, line)
        return b"\n".join(lines)

    return make


_FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", TOO_SMALL),
    "a byte": (lambda: b"{", row_fault(NOT_JSON, row=1)),
    "ends of lines": (lambda: b"\n" * 1_000, TOO_SMALL),
    "a mark of byte order": (lambda: b"\xef\xbb\xbf", TOO_SMALL),
    "rows after a mark of byte order": (lambda: b"\xef\xbb\xbf" + rows(), ACTIVE),
    "Windows": (lambda: rows().replace(b"\n", b"\r\n"), ACTIVE),
    "an old Mac": (lambda: rows().replace(b"\n", b"\r"), row_fault(NOT_JSON, row=1)),
    "nine rows": (lambda: b"\n".join(_plain(9)), TOO_SMALL),
    "UTF-16": (lambda: rows().decode().encode("utf-16"), UNREADABLE),
    "UTF-16 without a mark": (lambda: rows().decode().encode("utf-16-le"), UNREADABLE),
    "UTF-16, big end first": (lambda: rows().decode().encode("utf-16-be"), UNREADABLE),
    "UTF-32": (lambda: rows().decode().encode("utf-32"), UNREADABLE),
    "gzip": (lambda: gzip.compress(rows()), UNREADABLE),
    "a gzip bomb": (lambda: gzip.compress(bytes(100 * _MIB)), UNREADABLE),
    "a ZIP archive": (lambda: b"PK\x03\x04" + bytes(100), UNREADABLE),
    "Zstandard": (lambda: b"\x28\xb5\x2f\xfd" + bytes(100), UNREADABLE),
    "Parquet": (lambda: b"PAR1" + bytes(100) + b"PAR1", UNREADABLE),
    "NUL bytes": (lambda: bytes(5 * _MIB), UNREADABLE),
    "a picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(range(256)), row_fault(NOT_JSON, row=1)),
    "one large list": (lambda: b"[" + b",\n".join(_plain()) + b"]", row_fault(NOT_JSON, row=1)),
    "indented": (lambda: json.dumps(json.loads(_plain()[0]), indent=1).encode(), row_fault(NOT_JSON, row=1)),
    "100,001 ends of lines": (lambda: b"\n" * 100_001, TOO_LARGE),
    "millions of rows": (lambda: b"\n" * (30 * _MIB), TOO_LARGE),
    "one row of 60 MiB": (lambda: b"x" * (60 * _MIB), row_fault(INVALID, row=1)),
    "rows cut off": (lambda: rows()[:-20], row_fault(NOT_JSON, row=40)),
    "the same row": (lambda: b"\n".join(_plain()[:1] * 40), TOO_SMALL),
}


def _noise(seed: int) -> bytes:
    """Bytes that are no JSON, without ends of lines."""
    return b"\xfe" + random.Random(seed).randbytes(2_000).replace(b"\n", b" ")


def attacks() -> Iterator[Attack]:
    """All of them."""
    for name, line in _NOT_JSON.items():
        yield file_attack(f"JSONL: {name}", row_fault(NOT_JSON), _with(line))
    for name, (line, field) in _INVALID.items():
        yield file_attack(f"JSONL: {name}", row_fault(INVALID, field), _with(line))
    for name, output in _VIOLATED.items():
        row = json.dumps({"input": "a", "output": output}).encode()
        yield file_attack(f"JSONL: an output: {name}", row_fault(VIOLATED, "output"), _with(row))
    for name, line in _HARMLESS.items():
        yield file_attack(f"JSONL: {name}", ACTIVE, _with(line))
    for name, line in _TOO_LONG.items():
        yield file_attack(f"JSONL: {name}", row_fault("ROW_TOO_LONG"), _with(line))
    for seed in range(5):
        yield file_attack(f"JSONL: noise {seed}", row_fault(NOT_JSON), _with(_noise(seed)))
    for name, (make, expected) in _FILES.items():
        yield file_attack(f"JSONL: a file: {name}", expected, make)
