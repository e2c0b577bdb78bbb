"""Hostile Parquet."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from pyarrow import parquet
from pyarrow.parquet import encryption

from goldsmith.trainer.v1 import golden_dataset_pb2 as golden
from tests.hostile_upload.attack import ACTIVE, ROW, TOO_SMALL, Attack, file_attack, good_rows, row_fault

_MIB = 1 << 20
UNREADABLE, TOO_LARGE = "FAILED FILE_UNREADABLE file", "FAILED FILE_TOO_LARGE file"
INVALID, VIOLATED = "ROW_INVALID", "CONTRACT_VIOLATED"
_Table = Any  # Any: pyarrow ships no types


def _file(table: _Table, **options: Any) -> bytes:  # Any: as above
    out = io.BytesIO()
    parquet.write_table(table, out, **options)
    return out.getvalue()


def _good(**more: Any) -> _Table:  # Any: columns
    inputs, outputs = zip(*good_rows(), strict=True)
    return pa.table({"input": list(inputs), "output": list(outputs), **more})


def _row(text: object, output: object) -> bytes:
    """A file with one more row."""
    inputs, outputs = (list(column) for column in zip(*good_rows(), strict=True))
    inputs.insert(ROW - 1, text)  # type: ignore[arg-type]  # hostile
    outputs.insert(ROW - 1, output)  # type: ignore[arg-type]
    return _file(pa.table({"input": inputs, "output": outputs}))


def _columns(**columns: Any) -> bytes:  # Any: columns
    inputs, outputs = zip(*good_rows(), strict=True)
    return _file(pa.table({"input": list(inputs), "output": list(outputs)} | columns))


def _values(values: list[Any], kind: _Table = None) -> Callable[[], bytes]:  # Any: outputs of all rows
    return lambda: _columns(output=pa.array((values * 40)[:40], kind))


def _deep(levels: int) -> bytes:
    kind = pa.int64()
    for _ in range(levels):
        kind = pa.list_(kind)
    return _columns(output=pa.nulls(40, kind))


def _bomb(compression: str, *, use_dictionary: bool) -> bytes:
    """Some hundred KB that are a GiB and more of one letter, or a dictionary with one such word."""
    text = pa.array(["a" * (100 * _MIB)])
    inputs = pa.chunked_array([text] * 12)
    table = pa.table({"input": inputs, "output": ["b"] * 12})
    return _file(table, compression=compression, use_dictionary=use_dictionary, row_group_size=12)


def _many(count: int) -> bytes:
    """Rows that are all one."""
    run = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array(["a"]))
    return _file(pa.table({"input": run, "output": run}))


def _wide() -> bytes:
    """Rows that unpack to more than an upload may hold: one text of 32 KB, 50,000 times."""
    run = pa.DictionaryArray.from_arrays(pa.array([0] * 50_000, pa.int32()), pa.array(["a" * 32_000]))
    return _file(pa.table({"input": run, "output": pa.DictionaryArray.from_arrays(run.indices, pa.array(["b"]))}))


def _metadata() -> bytes:
    """Twenty MiB of notes in the footer."""
    return _file(_good().replace_schema_metadata({f"k{number}": "x" * _MIB for number in range(20)}))


def _groups() -> bytes:
    """A group for each row."""
    return _file(_good(), row_group_size=1)


def _encrypted() -> bytes:
    class Keys(encryption.KmsClient):  # type: ignore[misc]  # untyped
        def wrap_key(self, key_bytes: bytes, _: str) -> str:
            return key_bytes.hex()

        def unwrap_key(self, wrapped: str, _: str) -> bytes:
            return bytes.fromhex(wrapped)

    factory = encryption.CryptoFactory(lambda _: Keys())
    config = encryption.EncryptionConfiguration(footer_key="k", column_keys={"k": ["input", "output"]})
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), config)
    return _file(_good(), encryption_properties=properties)


def _cut(part: float) -> Callable[[], bytes]:
    def make() -> bytes:
        data = _file(_good())
        return data[: int(len(data) * part)]

    return make


def _overwritten(begin: int, patch: bytes) -> Callable[[], bytes]:
    """Bytes from a place, counted from the end where negative, replaced."""

    def make() -> bytes:
        data = bytearray(_file(_good()))
        place = begin if begin >= 0 else len(data) + begin
        data[place : place + len(patch)] = patch
        return bytes(data)

    return make


_BAD_TEXT = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe"))
_FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", UNREADABLE),
    "JSON Lines": (lambda: b'{"input":"a","output":{"n":1}}\n' * 40, UNREADABLE),
    "marks alone": (lambda: b"PAR1PAR1", UNREADABLE),
    "marks around nothing": (lambda: b"PAR1" + bytes(100) + b"PAR1", UNREADABLE),
    "marks around noise": (lambda: b"PAR1" + b"\xff" * 100 + b"PAR1", UNREADABLE),
    "a footer as long as 4 GiB": (_overwritten(-8, b"\xff\xff\xff\xff"), UNREADABLE),
    "a footer of no length": (_overwritten(-8, b"\0\0\0\0"), UNREADABLE),
    "a footer longer than the file": (_overwritten(-8, b"\xff\xff\xff\x00"), UNREADABLE),
    "a negative footer": (_overwritten(-8, b"\x00\x00\x00\x80"), UNREADABLE),
    "another mark at the end": (_overwritten(-4, b"PARX"), UNREADABLE),
    "the mark of encryption at the end": (_overwritten(-4, b"PARE"), UNREADABLE),
    "a footer of ones": (_overwritten(-300, b"\xff" * 290), UNREADABLE),
    "a footer of zeros": (
        lambda: _file(_good(), store_schema=False)[:-400] + bytes(392) + b"\x88\1\0\0PAR1",
        UNREADABLE,
    ),
    "a first page of ones": (_overwritten(4, b"\xff" * 40), UNREADABLE),
    "encryption": (_encrypted, UNREADABLE),
    "no rows": (lambda: _file(_good().slice(0, 0)), TOO_SMALL),
    "no columns": (lambda: _file(pa.table({})), UNREADABLE),
    "another column": (lambda: _columns(label=["x"] * 40), UNREADABLE),
    "a thousand columns": (lambda: _columns(**{f"c{n}": ["x"] * 40 for n in range(1_000)}), UNREADABLE),
    "a column of a path": (lambda: _columns(**{"../input": ["x"] * 40}), UNREADABLE),
    "no output": (lambda: _file(_good().drop_columns(["output"])), UNREADABLE),
    "input twice": (
        lambda: _file(pa.Table.from_arrays([_good()["input"]] * 2 + [_good()["output"]], ["input", "input", "output"])),
        UNREADABLE,
    ),
    "numbers as input": (lambda: _columns(input=list(range(40))), UNREADABLE),
    "bytes as input": (lambda: _columns(input=[b"a"] * 40), UNREADABLE),
    "lists as input": (lambda: _columns(input=[["a"]] * 40), UNREADABLE),
    "numbers as split": (lambda: _columns(split=list(range(40))), UNREADABLE),
    "bytes as output": (_values([b"{}"]), UNREADABLE),
    "times": (_values([dt.datetime(2026, 1, 1)]), UNREADABLE),  # noqa: DTZ001  # any
    "dates": (_values([dt.date(2026, 1, 1)]), UNREADABLE),
    "decimals": (_values([decimal.Decimal("1.5")]), UNREADABLE),
    "a map": (_values([[("n", 1)]], pa.map_(pa.string(), pa.int64())), UNREADABLE),
    "times within": (_values([{"n": dt.datetime(2026, 1, 1)}]), UNREADABLE),  # noqa: DTZ001  # any
    "bytes within": (_values([[b"x"]]), UNREADABLE),
    "depth 40": (lambda: _deep(40), UNREADABLE),
    "depth 1,000": (lambda: _deep(1_000), UNREADABLE),
    "other numbers": (_values([{"n": 10}]), row_fault(VIOLATED, "output", 1)),
    "no numbers": (_values([{"n": float("nan")}]), row_fault(INVALID, "output", 1)),
    "infinity": (_values([{"n": float("inf")}]), row_fault(INVALID, "output", 1)),
    "null everywhere": (_values([None], pa.string()), row_fault(INVALID, "output", 1)),
    "null as input": (lambda: _row(None, '{"n":1}'), row_fault(INVALID, "input")),
    "null as output": (lambda: _row("a", None), row_fault(INVALID, "output")),
    "an empty input": (lambda: _row(" ", '{"n":1}'), row_fault(INVALID, "input")),
    "an input too long": (lambda: _row("x" * 32_769, '{"n":1}'), row_fault(INVALID, "input")),
    "an input of 30 MiB": (lambda: _row("x" * (30 * _MIB), '{"n":1}'), row_fault(INVALID, "input")),
    "an output too long": (lambda: _row("x", "1" * 16_385), row_fault(INVALID, "output")),
    "deep text": (lambda: _row("x", "[" * 10_000), row_fault(VIOLATED, "output")),
    "bytes that are not UTF-8": (
        lambda: _file(pa.table({"input": pa.concat_arrays([_BAD_TEXT] * 40), "output": ['{"n":1}'] * 40})),
        row_fault(INVALID, "input", 1),
    ),
    "a bomb of snappy": (lambda: _bomb("snappy", use_dictionary=False), TOO_LARGE),
    "a bomb of Zstandard": (lambda: _bomb("zstd", use_dictionary=False), TOO_LARGE),
    "a bomb of gzip": (lambda: _bomb("gzip", use_dictionary=False), TOO_LARGE),
    "a bomb of Brotli": (lambda: _bomb("brotli", use_dictionary=False), TOO_LARGE),
    "a bomb of a dictionary": (lambda: _bomb("zstd", use_dictionary=True), TOO_LARGE),
    "a row too many": (lambda: _many(100_001), TOO_LARGE),
    "millions of rows in one run": (lambda: _many(20_000_000), TOO_LARGE),
    "rows of more bytes than an upload": (_wide, TOO_LARGE),
    "20 MiB of notes": (_metadata, ACTIVE),
    "a group for each row": (_groups, ACTIVE),
    "structs": (lambda: _columns(output=[json.loads(output) for _, output in good_rows()]), ACTIVE),
}


def attacks() -> Iterator[Attack]:
    """All of them; files are made when they are sent."""
    kind = golden.GOLDEN_DATASET_FORMAT_PARQUET
    for name, (make, expected) in _FILES.items():
        yield file_attack(f"Parquet: {name}", expected, make, kind)
    for part in (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99):
        yield file_attack(f"Parquet: cut at {part}", UNREADABLE, _cut(part), kind)
