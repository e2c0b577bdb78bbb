"""The steps of a curation."""

from __future__ import annotations

import json

import pytest

from shared.digest import sha256_bytes
from trainer_svc.curation.step import SplitRow, curate
from trainer_svc.domain.curation import Change, CurationStep
from trainer_svc.domain.dataset import CheckedRow


def _rows(*texts: tuple[str, str], held: tuple[int, ...] = ()) -> list[SplitRow]:
    return [
        SplitRow("holdout" if number in held else "train", CheckedRow(number, text, output))
        for number, (text, output) in enumerate(texts, 1)
    ]


def _digest(text: str, output: str) -> str:
    return sha256_bytes(json.dumps([text, output], ensure_ascii=False).encode())


def _numbers(rows: list[SplitRow]) -> list[int]:
    return [row.row.row for row in rows]


class TestDrop:
    """Whole rows, the first of its kind kept."""

    def test_duplicates(self) -> None:
        """Equal but for case and spacing, with the same output; the change tells which row it repeats."""
        rows = _rows(("pay Anna", "1"), ("book a table", "2"), ("Pay  anna", "1"), ("pay Anna", "3"))

        kept, changes = curate(rows, [CurationStep.DROP_DUPLICATES])

        assert _numbers(kept) == [1, 2, 4]
        assert changes == [Change(3, CurationStep.DROP_DUPLICATES, _digest("Pay  anna", "1"), "", "repeats row 1")]

    def test_a_held_out_row_is_kept_before_one_that_is_trained_on(self) -> None:
        """The evaluation would flatter otherwise."""
        kept, (change,) = curate(_rows(("a b", "1"), ("A b", "1"), held=(2,)), [CurationStep.DROP_DUPLICATES])

        assert [(row.split, row.row.row) for row in kept] == [("holdout", 2)]
        assert change.message == "repeats row 2"

    def test_near_duplicates(self) -> None:
        """One letter apart, with the same output; what differs in its output stays."""
        rows = _rows(
            ("please transfer money to my savings account", "1"),
            ("please transfer money to my saving account", "1"),
            ("where is the next cash machine in town", "1"),
        )

        kept, changes = curate(rows, [CurationStep.DROP_NEAR_DUPLICATES])

        assert _numbers(kept) == [1, 3]
        assert [(change.row_number, change.after, change.message) for change in changes] == [(2, "", "is nearly row 1")]

    def test_contradictions_go_both(self) -> None:
        """Which of them is right nobody knows."""
        kept, changes = curate(
            _rows(("is it open", "yes"), ("is it late", "no"), ("is it open", "no")), [CurationStep.DROP_CONTRADICTIONS]
        )

        assert _numbers(kept) == [2]
        assert [(change.row_number, change.message) for change in changes] == [
            (1, "contradicts row 3"),
            (3, "contradicts row 1"),
        ]

    @pytest.mark.parametrize("outputs", ["ABAB", "ABB", "AABB", "ABCBCA"])
    def test_rows_that_repeat_a_contradiction_go_with_it(self, outputs: str) -> None:
        """An answer is not right for being given twice; the message is that of the first."""
        rows = _rows(*(("is it open", output) for output in outputs), ("is it late", "no"))

        kept, changes = curate(rows, [CurationStep.DROP_CONTRADICTIONS])

        assert [row.row.input for row in kept] == ["is it late"]
        told = [(outputs[change.row_number - 1], change.message) for change in changes]
        assert told == [(output, dict(reversed(told))[output]) for output in outputs]


class TestCompose:
    """Unicode NFC."""

    def test_input_and_output_are_spelt_anew(self) -> None:
        """The change has both digests; a row that is composed already has none."""
        apart = "cafe\u0301"
        kept, changes = curate(_rows((apart, apart), ("café", "café")), [CurationStep.UNICODE_NFC])

        assert [(row.row.input, row.row.output) for row in kept] == [("café", "café")] * 2
        (change,) = changes
        assert (change.row_number, change.before, change.after) == (1, _digest(apart, apart), _digest("café", "café"))

    def test_steps_work_on_what_those_before_left(self) -> None:
        """In the order that was asked for."""
        rows = _rows(("cafe\u0301", "1"), ("café", "1"))
        steps = [CurationStep.UNICODE_NFC, CurationStep.DROP_DUPLICATES]

        kept, changes = curate(rows, steps)
        other, _ = curate(rows, steps[::-1])

        assert (_numbers(kept), _numbers(other)) == ([1], [1, 2])
        assert [(change.row_number, change.step) for change in changes] == [(1, steps[0]), (2, steps[1])]


@pytest.mark.parametrize("step", CurationStep)
def test_nothing_is_lost_without_a_change(step: CurationStep) -> None:
    """Each row of the source is there, or told."""
    rows = _rows(*((f"row {number % 7}", f"{number % 3}") for number in range(50)), held=(4, 9))

    kept, changes = curate(rows, [step])

    dropped = {change.row_number for change in changes if not change.after}
    assert {row.row.row for row in kept} | dropped == set(range(1, 51))
    assert not {row.row.row for row in kept} & dropped
    assert curate(rows, [step]) == (kept, changes)
