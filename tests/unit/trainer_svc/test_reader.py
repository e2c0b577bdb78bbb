"""Uploads of each format, as rows."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from trainer_svc.curation.reader import json_lines
from trainer_svc.curation.reader.csv_rows import read_csv
from trainer_svc.curation.reader.json_lines import read_json_lines
from trainer_svc.curation.reader.parquet import ParquetLimits, read_parquet
from trainer_svc.curation.reader.row import MAX_ROW_BYTES, MAX_ROWS, FileFault, Row, RowFault

Read = Row | RowFault


def _jsonl(data: bytes) -> list[Read]:
    return list(read_json_lines(io.BytesIO(data)))


def _csv(data: bytes) -> list[Read]:
    return list(read_csv(io.BytesIO(data)))


def _told(rows: Iterable[Read]) -> list[tuple[int, str, str]]:
    return [(row.number, row.reason, row.field) for row in rows if isinstance(row, RowFault)]


class TestJsonLines:
    """One object a line."""

    def test_rows_have_the_number_of_their_line(self) -> None:
        """Blank lines count, and the mark of byte order is no part of the text."""
        rows = _jsonl(b'\xef\xbb\xbf{"input":"a"}\n\n  \r\n{"input":"b"}')

        assert rows == [Row(1, {"input": "a"}), Row(4, {"input": "b"})]

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            (b'{"input":"a","input":"b"}', "'input' twice"),
            (b'{"output":{"n":1,"n":2}}', "'n' twice"),
            (b'{"output":NaN}', "NaN is no number"),
            (b'{"output":-Infinity}', "-Infinity is no number"),
            (b'{"output":1e999}', "1e999 is too large"),
            (b'{"output":' + b"9" * 5000 + b"}", "digits"),
            (b'{"input":"\x00"}', "control character"),
            (b'{"input":"\xff"}', "can't decode byte 0xff"),
            (b"[" * 100_000, "recursion"),
            (b"[1]", "must be a JSON object"),
        ],
    )
    def test_what_is_no_json_is_told_by_line(self, line: bytes, message: str) -> None:
        """What JSON leaves open, such as a name that stands twice, is refused rather than guessed."""
        (fault,) = _jsonl(line)

        assert isinstance(fault, RowFault)
        assert fault.reason == "ROW_NOT_JSON"
        assert message in fault.message

    def test_a_line_without_end_is_passed_over(self) -> None:
        """The rows after it are read."""
        rows = _jsonl(b"x" * (3 * MAX_ROW_BYTES) + b'\n{"input":"b"}\n' + b"y" * (MAX_ROW_BYTES + 1))

        assert [row.number for row in rows] == [1, 2, 3]
        assert _told(rows) == [(1, "ROW_INVALID", ""), (3, "ROW_INVALID", "")]

    def test_too_many_lines_end_the_reading(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Blank ones too: each costs time."""
        monkeypatch.setattr(json_lines, "MAX_ROWS", 5)

        assert _jsonl(b"\n" * 5) == []
        with pytest.raises(FileFault) as caught:
            _jsonl(b"\n" * 6)
        assert caught.value.reason == "FILE_TOO_LARGE"


class TestEncoding:
    """Bytes that are no text in UTF-8 from the start."""

    @pytest.mark.parametrize("read", [_jsonl, _csv])
    @pytest.mark.parametrize(
        ("data", "message"),
        [
            ('{"input":"a"}'.encode("utf-16"), "UTF-16"),
            ("input,output".encode("utf-16-le"), "UTF-16-LE"),
            ("input,output".encode("utf-32"), "UTF-32"),
            (b"PAR1....", "format PARQUET"),
            (b"\x1f\x8b\x08\x00", "gzip"),
            (b"PK\x03\x04", "spreadsheet"),
        ],
    )
    def test_the_file_is_refused_with_what_to_do(
        self, read: Callable[[bytes], list[Read]], data: bytes, message: str
    ) -> None:
        """Rather than each of its rows."""
        with pytest.raises(FileFault, match=message) as caught:
            read(data)

        assert caught.value.reason == "FILE_UNREADABLE"


class TestCsv:
    """RFC 4180 with a header."""

    def test_rows_begin_at_their_line(self) -> None:
        """Quoted cells may hold commas, quotes and ends of lines; columns come in any order; nothing is guessed."""
        rows = _csv(b'\xef\xbb\xbfoutput,input\r\n1,"a\r\nb ""c"", d"\r\n\r\n true ,x\r\n')

        assert rows == [
            Row(2, {"output": "1", "input": 'a\r\nb "c", d'}),
            Row(5, {"output": " true ", "input": "x"}),
        ]

    def test_an_empty_split_is_none(self) -> None:
        """As a column that some rows use."""
        rows = _csv(b"input,output,split\na,b,\nc,d,holdout\n")

        assert rows == [
            Row(2, {"input": "a", "output": "b"}),
            Row(3, {"input": "c", "output": "d", "split": "holdout"}),
        ]

    @pytest.mark.parametrize(
        "header",
        [b"", b"input", b"input;output", b"input,output,label", b"input,input,output", b"a,b", b" input,output"],
    )
    def test_another_header_is_refused(self, header: bytes) -> None:
        """With the columns that there should be."""
        with pytest.raises(FileFault, match="must name the columns input, output") as caught:
            _csv(header + b"\n1,2\n")

        assert (caught.value.reason, caught.value.number) == ("FILE_UNREADABLE", 1)

    def test_faults_of_one_row_leave_the_others(self) -> None:
        """Another number of cells, bytes that are not UTF-8."""
        rows = _csv(b"input,output\na\nb,c,d\n\xe9t\xe9,e\nf,g\n")

        assert _told(rows) == [(2, "ROW_INVALID", ""), (3, "ROW_INVALID", ""), (4, "ROW_INVALID", "input")]
        assert rows[-1] == Row(5, {"input": "f", "output": "g"})
        assert isinstance(rows[2], RowFault)
        assert "byte 0xe9 at character 1" in rows[2].message

    def test_a_cell_may_be_longer_than_an_input(self) -> None:
        """Which the row is then told, by its size."""
        assert len(_csv(b"input,output\n" + b"x" * 200_000 + b",y\n")) == 1

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b'a,b\n"never closed,' + b"x\n" * MAX_ROW_BYTES, "is a quote not closed"),
            (b"a,b\n" + b"x" * (MAX_ROW_BYTES + 1), "is a quote not closed"),
            (b'a,b\n"' + b'\n","' * MAX_ROW_BYTES, "is a quote not closed"),
            (b'a,b\n"a"b,c\n', "is not CSV"),
            (b'a,b\n"a', "is not CSV"),
            (b"a,b\nold\rmac,c\n", "is not CSV"),
        ],
    )
    def test_quotes_that_do_not_match_end_the_reading(self, data: bytes, message: str) -> None:
        """Where a row ends after that is anybody's guess; the row that began it is named."""
        with pytest.raises(FileFault, match=message) as caught:
            _csv(b"input,output\n" + data)

        assert (caught.value.reason, caught.value.number) == ("FILE_UNREADABLE", 3)


def _file(folder: Path, table: Any, **options: Any) -> Path:  # Any: pyarrow ships no types
    path = folder / "upload"
    parquet.write_table(table, path, **options)
    return path


def _parquet(folder: Path, table: Any, **options: Any) -> list[Read]:  # Any: as above
    rows = list(read_parquet(_file(folder, table, **options), folder / "scratch"))
    assert list((folder / "scratch").iterdir()) == []
    return rows


class TestParquet:
    """Read in a process of its own."""

    def test_text_and_values_are_rows(self, tmp_path: Path) -> None:
        """Dictionaries are text, structs and lists JSON; what is null is left out."""
        table = pa.table(
            {
                "split": pa.array(["holdout", None]).dictionary_encode(),
                "input": pa.array(["é", "b"], pa.large_string()),
                "output": [{"n": 1, "tags": ["x", None]}, {"n": None, "tags": []}],
            }
        )

        assert _parquet(tmp_path, table) == [
            Row(1, {"split": "holdout", "input": "é", "output": {"n": 1, "tags": ["x", None]}}),
            Row(2, {"input": "b", "output": {"n": None, "tags": []}}),
        ]

    def test_rows_are_numbered_over_groups(self, tmp_path: Path) -> None:
        """Whatever the size of those and of batches."""
        table = pa.table({"input": [f"{row}" for row in range(200)], "output": list(range(200))})

        rows = _parquet(tmp_path, table, row_group_size=7)

        assert rows == [Row(row + 1, {"input": f"{row}", "output": row}) for row in range(200)]

    def test_faults_of_one_row_leave_the_others(self, tmp_path: Path) -> None:
        """Text that is not UTF-8, a number that is none, a cell without end."""
        bad = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe"))
        inputs = pa.concat_arrays([bad, pa.array(["a", "b", "x" * MAX_ROW_BYTES])])
        table = pa.table({"input": inputs, "output": [1.0, float("nan"), 2.0, 3.0]})

        rows = _parquet(tmp_path, table)

        assert _told(rows) == [(1, "ROW_INVALID", "input"), (2, "ROW_INVALID", "output"), (4, "ROW_INVALID", "input")]
        assert rows[2] == Row(3, {"input": "b", "output": 2.0})

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"input": ["a"]}, "must have the columns"),
            ({"input": ["a"], "output": ["b"], "label": ["c"]}, "'label'"),
            ({"input": [1], "output": ["b"]}, "column input must hold text, it holds int64"),
            ({"input": [b"a"], "output": ["b"]}, "it holds binary"),
            ({"input": ["a"], "output": pa.array([1], pa.timestamp("ms"))}, "it holds timestamp"),
            ({"input": ["a"], "output": [[b"x"]]}, "column output must hold"),
            ({"input": ["a"], "output": ["b"], "split": [1]}, "column split must hold text"),
        ],
    )
    def test_other_columns_are_refused(self, tmp_path: Path, columns: dict[str, Any], message: str) -> None:
        """With what there is and what there should be."""
        with pytest.raises(FileFault, match=message) as caught:
            _parquet(tmp_path, pa.table(columns))

        assert caught.value.reason == "FILE_UNREADABLE"

    @pytest.mark.parametrize("damage", ["empty", "text", "head", "tail", "footer", "page"])
    def test_damaged_files_are_refused(self, tmp_path: Path, damage: str) -> None:
        """Without naming a file of the server."""
        path = _file(tmp_path, pa.table({"input": ["a" * 99] * 99, "output": ["b"] * 99}), use_dictionary=False)
        data = bytearray(path.read_bytes())
        if damage == "footer":
            data[-60:-10] = b"\xff" * 50
        if damage == "page":
            data[4:60] = b"\xff" * 56
        path.write_bytes(
            {"empty": b"", "text": b'{"input":1}\n', "head": bytes(data[:-20]), "tail": bytes(data[20:])}.get(
                damage, bytes(data)
            )
        )

        with pytest.raises(FileFault) as caught:
            list(read_parquet(path, tmp_path / "scratch"))

        assert caught.value.reason == "FILE_UNREADABLE"
        assert str(tmp_path) not in caught.value.message

    @pytest.mark.parametrize("compression", ["snappy", "zstd"])
    def test_a_bomb_is_refused(self, tmp_path: Path, compression: str) -> None:
        """A file of some hundred KB that unpacks to a GiB and a half."""
        text = "a" * (100 << 20)
        table = pa.table({"input": [text] * 15, "output": ["b"] * 15})
        path = _file(tmp_path, table, compression=compression, use_dictionary=False)
        del table

        with pytest.raises(FileFault) as caught:
            list(read_parquet(path, tmp_path / "scratch"))

        assert caught.value.reason == "FILE_TOO_LARGE"
        assert list((tmp_path / "scratch").iterdir()) == []

    def test_what_unpacks_to_too_many_rows_is_refused(self, tmp_path: Path) -> None:
        """By its footer, or as they come."""
        table = pa.table({"input": ["a"] * (MAX_ROWS + 1), "output": ["b"] * (MAX_ROWS + 1)})

        with pytest.raises(FileFault, match="100000 rows") as caught:
            _parquet(tmp_path, table)

        assert caught.value.reason == "FILE_TOO_LARGE"

    @pytest.mark.parametrize(
        ("limits", "message"),
        [
            (ParquetLimits(rows_bytes=10_000), "unpacks to more than 10000 bytes"),
            (ParquetLimits(cpu_seconds=1), "1 s of processor time"),
            (ParquetLimits(memory_bytes=1 << 20), "1 MiB of memory"),
            (ParquetLimits(wall_seconds=0.01), "0.01 s to read"),
        ],
    )
    def test_each_limit_is_told(self, tmp_path: Path, limits: ParquetLimits, message: str) -> None:
        """With what would fit; the file takes five seconds of a processor that is fast."""
        path = _file(tmp_path, pa.table({"input": ["a" * 100] * 90_000, "output": [[1] * 400] * 90_000}))

        with pytest.raises(FileFault, match=message) as caught:
            list(read_parquet(path, tmp_path / "scratch", limits))

        assert caught.value.reason == "FILE_TOO_LARGE"
