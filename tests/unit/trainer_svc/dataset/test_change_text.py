"""Changes of a curation with the rows that they were made to."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
import unicodedata
from collections.abc import Sequence

import pytest

from shared.digest import hex_part
from shared.names import DatasetName
from shared.rpc.page import Page
from tests.unit.trainer_svc.dataset.desk import NEW, Desk
from tests.unit.trainer_svc.dataset.house import NAME
from trainer_svc.app import curator
from trainer_svc.app.curator import MAX_TEXT_CHANGES
from trainer_svc.curation.row_file import dump_rows, find_rows
from trainer_svc.domain.curation import MAX_TOLD_BYTES, CurationStep, RowText, ToldChange
from trainer_svc.domain.dataset import CheckedRow, Dataset

ROWS = [{"input": f"row {number}", "output": True} for number in range(40)]
MAIL = "ann@acme.com"
DROP, NFC, REPLACE = CurationStep.DROP_DUPLICATES, CurationStep.UNICODE_NFC, CurationStep.REPLACE_PERSONAL_DATA


def _told(desk: Desk, rows: Sequence[dict[str, object]], *steps: CurationStep, lost: str = "") -> list[ToldChange]:
    """What is told of a curation of rows; `lost` names a field with the digest of a blob of the source."""
    data = b"".join(json.dumps(row).encode() + b"\n" for row in [*ROWS, *rows])

    async def act() -> list[ToldChange]:
        source = await desk.source(data)
        await desk.curator.curate(NEW, NAME, steps, "")
        if lost:
            (desk.folder / "blobs" / hex_part(getattr(source, lost))).unlink()
        return (await desk.curator.told_changes(NEW, Page.parse(0, ""), include_text=True))[0]

    return desk.run(act)


def _train(text: str) -> dict[str, object]:
    return {"input": text, "output": True, "split": "train"}


def _held(text: str) -> dict[str, object]:
    return {**_train(text), "split": "holdout"}


class TestToldChanges:
    """The rows before and after."""

    def test_tell_the_row_that_was_dropped(self, desk: Desk) -> None:
        """There is none after it."""
        (told,) = _told(desk, [_train("row 3")], DROP)

        assert told.change.row_number == 41
        assert (told.before, told.after) == (RowText("row 3", "true"), None)

    def test_tell_what_one_step_left_to_the_next(self, desk: Desk) -> None:
        """Of letters that were composed, although only the first row and the last are stored."""
        apart = unicodedata.normalize("NFD", "café")

        composed, dropped = _told(desk, [_train("café"), _train(apart)], NFC, DROP)

        assert (composed.before, composed.after) == (RowText(apart, "true"), RowText("café", "true"))
        assert (dropped.before, dropped.after) == (RowText("café", "true"), None)

    def test_never_tell_personal_data_that_was_replaced(self, desk: Desk) -> None:
        """What is there instead is told; a row that was dropped after it is not."""
        rows = [_train(f"write to {MAIL}"), _train(f"Write to {MAIL}")]

        told = _told(desk, rows, REPLACE, DROP)

        assert [(one.change.step, one.change.row_number) for one in told] == [(REPLACE, 41), (REPLACE, 42), (DROP, 42)]
        first, second, dropped = told
        assert first.before is None
        assert first.after is not None
        assert first.after.input.startswith("write to ")
        assert (second.before, second.after, dropped.before, dropped.after) == (None, None, None, None)
        assert MAIL not in repr(told)

    def test_are_without_a_row_whose_bytes_are_gone(self, desk: Desk) -> None:
        """The change itself is told, and the row after it."""
        apart = unicodedata.normalize("NFD", "café")

        (told,) = _told(desk, [_train(apart)], NFC, lost="train_rows")

        assert (told.before, told.after) == (None, RowText("café", "true"))

    def test_leave_out_long_text_and_say_so(self, desk: Desk) -> None:
        """By its bytes, input and output together; nothing is cut."""
        fits, long = "é" * (MAX_TOLD_BYTES // 2 - 2), "é" * (MAX_TOLD_BYTES // 2 - 1)

        told = _told(desk, [_held(text) for text in (fits, fits, long, long)], DROP)

        assert [one.before for one in told] == [RowText(fits, "true"), RowText("", "", MAX_TOLD_BYTES + 2)]

    def test_write_out_halves_of_characters(self) -> None:
        """No message can hold one, and a row of an early version may."""
        assert RowText.of("half \ud83d", "true") == RowText("half \\ud83d", "true")

    def test_come_a_hundred_at_a_time(self, desk: Desk) -> None:
        """With text; a page is an answer of bounded size. All of them come in the end."""
        data = b"".join(json.dumps(row).encode() + b"\n" for row in [*ROWS, *[_train("row 3")] * 120])

        async def act() -> tuple[list[int], list[int]]:
            await desk.source(data)
            await desk.curator.curate(NEW, NAME, [DROP], "")
            found, sizes, token = [], [], ""
            while True:
                page = Page.parse(1000, token)
                told, token = await desk.curator.told_changes(NEW, page, include_text=True)
                found += [one.change.row_number for one in told]
                sizes.append(len(told))
                if not token:
                    return found, sizes

        found, sizes = desk.run(act)

        assert sizes == [MAX_TEXT_CHANGES, 20]
        assert found == list(range(41, 161))

    def test_are_not_looked_up_for_callers_that_gave_up_waiting(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those before them may take seconds, and who tries again must not find his own requests before him."""
        told, has_begun, is_free = [0], threading.Event(), threading.Event()

        def slow(*_: object) -> list[ToldChange]:
            told[0] += 1
            has_begun.set()
            assert is_free.wait(30)
            return []

        monkeypatch.setattr(curator, "tell", slow)

        async def act() -> None:
            await desk.source(b"".join(json.dumps(row).encode() + b"\n" for row in [*ROWS, ROWS[3]]))
            await desk.curator.curate(NEW, NAME, [DROP], "")
            ask = functools.partial(desk.curator.told_changes, NEW, Page.parse(0, ""), include_text=True)
            callers = [asyncio.create_task(ask()) for _ in range(3)]
            await asyncio.to_thread(has_begun.wait, 30)
            for caller in callers:
                caller.cancel()
            await asyncio.wait(callers)
            is_free.set()
            await ask()

        desk.run(act)

        assert told == [2]

    def test_have_no_text_unless_it_is_asked_for(self, desk: Desk) -> None:
        """And of an uploaded dataset there are none."""

        async def act() -> tuple[list[ToldChange], list[ToldChange]]:
            source: Dataset = await desk.source(b"".join(json.dumps(row).encode() + b"\n" for row in [*ROWS, ROWS[3]]))
            await desk.curator.curate(NEW, NAME, [DROP], "")
            plain, _ = await desk.curator.told_changes(NEW, Page.parse(0, ""), include_text=False)
            name = DatasetName.parse(source.name)
            return plain, (await desk.curator.told_changes(name, Page.parse(0, ""), include_text=True))[0]

        plain, none = desk.run(act)

        assert [(one.before, one.after) for one in plain] == [(None, None)]
        assert none == []


class TestFindRows:
    """Some of the stored rows."""

    @pytest.mark.parametrize("numbers", [set[int](), {3}, {3, 70, 9}, {0, 700, -7}])
    def test_are_those_with_a_number_that_is_wanted(self, numbers: set[int]) -> None:
        """No row's own text can be taken for one, whatever line breaks it has."""
        forged = CheckedRow(7, '\n{"row": 9, "input": "forged", "output": ""}\r\n', "2")
        rows = [CheckedRow(3, "a\u2028b", "1"), forged, CheckedRow(70, "half \ud800", "3")]

        assert find_rows(dump_rows(rows), numbers) == {row.row: row for row in rows if row.row in numbers}
