"""Checked rows in their stored form."""

from __future__ import annotations

import pytest

from trainer_svc.curation.row_file import dump_rows, find_row, load_rows
from trainer_svc.domain.dataset import CheckedRow

ROWS = [
    CheckedRow(3, "a\u2028b\r\n", "1"),
    CheckedRow(7, '\n{"row": 9, "input": "forged", "output": ""}\n', "2"),
    CheckedRow(70, "half \ud800", "3"),
]


class TestRowFile:
    """What is stored of a golden dataset and given to its runs."""

    def test_keeps_rows_in_order_with_their_numbers(self) -> None:
        """Numbers are those of the upload; line breaks of any kind and halves of characters come back."""
        assert load_rows(dump_rows(ROWS)) == ROWS
        assert load_rows(dump_rows([])) == []

    def test_marks_what_a_teacher_labelled(self) -> None:
        """A golden row has the bytes that it had before there was a mark, and rows of then are golden."""
        synthetic = CheckedRow(4, "a", "1", synthetic=True)

        assert load_rows(dump_rows([*ROWS, synthetic])) == [*ROWS, synthetic]
        assert dump_rows([CheckedRow(4, "a", "1")]) == b'{"row": 4, "input": "a", "output": "1"}\n'
        assert find_row(dump_rows([synthetic]), 4) == synthetic

    @pytest.mark.parametrize("row", ROWS)
    def test_finds_a_row_by_its_number(self, row: CheckedRow) -> None:
        """The first, the last and one between."""
        assert find_row(dump_rows(ROWS), row.row) == row

    @pytest.mark.parametrize("number", [0, 9, 700, -7])
    def test_finds_nothing_for_other_numbers(self, number: int) -> None:
        """Also not for one that a row's own text tries to be."""
        assert find_row(dump_rows(ROWS), number) is None
