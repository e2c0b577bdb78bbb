"""Uploads of text formats, as rows."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from tests.unit.trainer_svc.reader_sample import Read, told
from trainer_svc.curation.reader import json_lines
from trainer_svc.curation.reader.csv_rows import read_csv
from trainer_svc.curation.reader.json_lines import read_json_lines
from trainer_svc.curation.reader.row import MAX_ROW_BYTES, FileFault, Row, RowFault


def _jsonl(data: bytes) -> list[Read]:
    return list(read_json_lines(io.BytesIO(data)))


def _csv(data: bytes) -> list[Read]:
    return list(read_csv(io.BytesIO(data)))


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
        assert told(rows) == [(1, "ROW_INVALID", ""), (3, "ROW_INVALID", "")]

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

        assert told(rows) == [(2, "ROW_INVALID", ""), (3, "ROW_INVALID", ""), (4, "ROW_INVALID", "input")]
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
