"""Parquet uploads, as rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.unit.trainer_svc.reader_sample import Read, told
from trainer_svc.curation.reader.parquet import ParquetLimits, read_parquet
from trainer_svc.curation.reader.row import MAX_ROW_BYTES, MAX_ROWS, FileFault, Row


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

        assert told(rows) == [(1, "ROW_INVALID", "input"), (2, "ROW_INVALID", "output"), (4, "ROW_INVALID", "input")]
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
