"""What the report says of rows that are alike."""

from __future__ import annotations

import json

import pytest

from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.curation.check import Checked, check_rows
from trainer_svc.domain.dataset import InvalidRowPolicy

_SPEC = ContractSpec(ContractKind.CHOICE, choices=("yes", "no"))
_WORDS = "alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima".split()
_TABLE = "Is there a table for two people tonight?"
_TABEL = "Is there a tabel for two people tonight?"


def _check(*rows: tuple[str, str] | tuple[str, str, str]) -> Checked:
    """After twelve rows that have nothing in common."""
    lines = [{"input": f"{word} {word[::-1]} {word * 2}", "output": "yes"} for word in _WORDS]
    lines += [dict(zip(("input", "output", "split"), row, strict=False)) for row in rows]
    return check_rows("\n".join(map(json.dumps, lines)).encode(), _SPEC, InvalidRowPolicy.REFUSE)


def _told(checked: Checked) -> list[tuple[int, str, str]]:
    """Of rows, not of the dataset as a whole."""
    return [(f.row_number, f.reason, f.path) for f in checked.findings if f.path != "rows"]


class TestRepetition:
    """Findings that do not stop a training."""

    def test_names_the_row_that_is_repeated(self) -> None:
        """The first of its kind is fine; case and spacing make no other question."""
        checked = _check((_TABLE, "no"), (_TABLE.upper(), "no"), (_TABLE, "no"))

        assert _told(checked) == [
            (14, "ROW_DUPLICATED", "rows[14].input"),
            (15, "ROW_DUPLICATED", "rows[15].input"),
        ]
        assert "row 13:" in checked.findings[0].message
        assert checked.is_usable
        assert not checked.findings[0].blocking
        assert checked.report.finding_counts["ROW_DUPLICATED"] == 2
        assert checked.report.invalid_count == 0

    def test_names_the_row_that_is_nearly_repeated(self) -> None:
        """A slip of the pen makes no other question either."""
        checked = _check((_TABLE, "no"), (_TABEL, "no"))

        assert _told(checked) == [(14, "ROW_NEARLY_DUPLICATED", "rows[14].input")]
        assert "row 13," in checked.findings[0].message

    def test_names_both_rows_that_contradict(self) -> None:
        """Nobody but the expert knows which of them is right."""
        checked = _check((_TABLE, "no"), (_TABEL, "yes"))

        assert _told(checked) == [
            (13, "ROWS_CONTRADICT", "rows[13].output"),
            (14, "ROWS_CONTRADICT", "rows[14].output"),
        ]
        assert "row 14," in checked.findings[0].message
        assert "row 13," in checked.findings[1].message

    def test_names_at_most_ten_rows_in_one_message(self) -> None:
        """A cluster may have thousands."""
        checked = _check((_TABLE, "no"), *((_TABLE.replace("table", f"t{c}ble"), "yes") for c in "bcdefghijklm"))

        message = next(f.message for f in checked.findings if f.row_number == 13)
        assert "rows 14, 15, 16, 17, 18, 19, 20, 21, 22, 23 and 2 more," in message

    def test_copies_on_one_side_are_told_beside_a_leak(self) -> None:
        """Removing the held-out row leaves them."""
        checked = _check((_TABLE, "no", "holdout"), (_TABLE, "no"), (_TABLE, "no"))

        assert _told(checked) == [(13, "HOLDOUT_LEAKED", "rows[13].input"), (15, "ROW_DUPLICATED", "rows[15].input")]
        assert "rows 14, 15:" in checked.findings[0].message

    def test_names_held_out_rows_that_are_trained_on(self) -> None:
        """In any spelling; not as a duplicate, since it is to be removed from one side."""
        checked = _check((_TABLE, "no"), (_TABEL, "no", "holdout"), ("Something else altogether", "no", "holdout"))

        assert _told(checked) == [(14, "HOLDOUT_LEAKED", "rows[14].input")]
        assert "row 13:" in checked.findings[0].message
        assert (len(checked.train), len(checked.holdout)) == (13, 2)

    def test_a_split_of_our_own_does_not_leak(self) -> None:
        """Rows that are alike stay together, wherever they fall."""
        pairs = [
            (f"{word} {word[::-1]} {ending}", "no") for word in _WORDS for ending in ("is well", "Is well", "is wel")
        ]

        checked = _check(*pairs, *((f"{word[::-1]} and nothing else", "no") for word in _WORDS * 5))

        assert checked.holdout
        assert checked.report.finding_counts["ROW_DUPLICATED"] > 0
        assert "HOLDOUT_LEAKED" not in checked.report.finding_counts

    def test_tells_where_a_split_of_our_own_must_leak(self) -> None:
        """Of rows that are all nearly the same some are held out, and named."""
        spec_rows = [(f"please book a table at the restaurant called {a}{b}", "no") for a in "abcdef" for b in "ghijkl"]
        lines = [{"input": text, "output": output} for text, output in spec_rows]

        checked = check_rows("\n".join(map(json.dumps, lines)).encode(), _SPEC, InvalidRowPolicy.REFUSE)

        assert len(checked.holdout) == checked.report.finding_counts["HOLDOUT_LEAKED"] == 4

    def test_tells_that_near_rows_were_not_looked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Silence would read as a clean dataset."""
        monkeypatch.setattr("trainer_svc.curation.check.MAX_COMPARED_INPUTS", 5)

        checked = _check()

        assert checked.report.finding_counts["DATASET_TOO_LARGE"] == 1
        assert checked.is_usable


def _related(checked: Checked) -> dict[tuple[int, str], tuple[int, ...]]:
    return {(f.row_number, f.reason): f.related_rows for f in checked.findings if f.path != "rows"}


class TestRelatedRows:
    """What a finding is about besides its row."""

    def test_are_the_rows_that_the_message_names(self) -> None:
        """Whether they repeat, nearly repeat, contradict or leak."""
        same = _check((_TABLE, "no"), (_TABLE, "no"), (_TABLE, "no"))
        near = _check((_TABLE, "no"), (_TABEL, "no"))
        contradiction = _check((_TABLE, "no"), (_TABEL, "yes"))
        leak = _check((_TABLE, "no", "holdout"), (_TABLE, "no"), (_TABEL, "no"))

        assert _related(same) == {(14, "ROW_DUPLICATED"): (13,), (15, "ROW_DUPLICATED"): (13,)}
        assert _related(near) == {(14, "ROW_NEARLY_DUPLICATED"): (13,)}
        assert _related(contradiction) == {(13, "ROWS_CONTRADICT"): (14,), (14, "ROWS_CONTRADICT"): (13,)}
        assert _related(leak)[13, "HOLDOUT_LEAKED"] == (14, 15)

    def test_are_a_hundred_at_most(self) -> None:
        """In rising order, where the message names ten; both say that there are more."""
        leak = _check((_TABLE, "no", "holdout"), *[(_TABLE, "no")] * 150)

        (finding,) = (f for f in leak.findings if f.reason == "HOLDOUT_LEAKED")

        assert finding.related_rows == tuple(range(14, 114))
        assert "and 140 more" in finding.message
