"""The steps of a curation."""

from __future__ import annotations

import dataclasses
import json
import random

import pytest

from shared.contracts.spec import ContractKind, ContractSpec
from shared.digest import sha256_bytes
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.curation.personal.finder import PATTERNS
from trainer_svc.curation.pseudonym.known import KnownPseudonyms
from trainer_svc.curation.step import SplitRow, Tools, curate
from trainer_svc.domain.curation import Change, CurationStep
from trainer_svc.domain.dataset import CheckedRow


@pytest.fixture
def tools(compiler: ExampleCompiler) -> Tools:
    """For outputs of any text."""
    spec = ContractSpec(ContractKind.REGEX, pattern=".*")
    return Tools(spec, compiler, PATTERNS, KnownPseudonyms(), random.Random(5))


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

    def test_duplicates(self, tools: Tools) -> None:
        """Equal but for case and spacing, with the same output; the change tells which row it repeats."""
        rows = _rows(("pay Anna", "1"), ("book a table", "2"), ("Pay  anna", "1"), ("pay Anna", "3"))

        kept, changes = curate(rows, [CurationStep.DROP_DUPLICATES], tools)

        assert _numbers(kept) == [1, 2, 4]
        assert changes == [Change(3, CurationStep.DROP_DUPLICATES, _digest("Pay  anna", "1"), "", "repeats row 1")]

    def test_a_held_out_row_is_kept_before_one_that_is_trained_on(self, tools: Tools) -> None:
        """The evaluation would flatter otherwise."""
        kept, (change,) = curate(_rows(("a b", "1"), ("A b", "1"), held=(2,)), [CurationStep.DROP_DUPLICATES], tools)

        assert [(row.split, row.row.row) for row in kept] == [("holdout", 2)]
        assert change.message == "repeats row 2"

    def test_near_duplicates(self, tools: Tools) -> None:
        """One letter apart, with the same output; what differs in its output stays."""
        rows = _rows(
            ("please transfer money to my savings account", "1"),
            ("please transfer money to my saving account", "1"),
            ("where is the next cash machine in town", "1"),
        )

        kept, changes = curate(rows, [CurationStep.DROP_NEAR_DUPLICATES], tools)

        assert _numbers(kept) == [1, 3]
        assert [(change.row_number, change.after, change.message) for change in changes] == [(2, "", "is nearly row 1")]

    def test_contradictions_go_both(self, tools: Tools) -> None:
        """Which of them is right nobody knows."""
        kept, changes = curate(
            _rows(("is it open", "yes"), ("is it late", "no"), ("is it open", "no")),
            [CurationStep.DROP_CONTRADICTIONS],
            tools,
        )

        assert _numbers(kept) == [2]
        assert [(change.row_number, change.message) for change in changes] == [
            (1, "contradicts row 3"),
            (3, "contradicts row 1"),
        ]

    @pytest.mark.parametrize("outputs", ["ABAB", "ABB", "AABB", "ABCBCA"])
    def test_rows_that_repeat_a_contradiction_go_with_it(self, tools: Tools, outputs: str) -> None:
        """An answer is not right for being given twice; the message is that of the first."""
        rows = _rows(*(("is it open", output) for output in outputs), ("is it late", "no"))

        kept, changes = curate(rows, [CurationStep.DROP_CONTRADICTIONS], tools)

        assert [row.row.input for row in kept] == ["is it late"]
        told = [(outputs[change.row_number - 1], change.message) for change in changes]
        assert told == [(output, dict(reversed(told))[output]) for output in outputs]


class TestCompose:
    """Unicode NFC."""

    def test_input_and_output_are_spelt_anew(self, tools: Tools) -> None:
        """The change has both digests; a row that is composed already has none."""
        apart = "cafe\u0301"
        kept, changes = curate(_rows((apart, apart), ("café", "café")), [CurationStep.UNICODE_NFC], tools)

        assert [(row.row.input, row.row.output) for row in kept] == [("café", "café")] * 2
        (change,) = changes
        assert (change.row_number, change.before, change.after) == (1, _digest(apart, apart), _digest("café", "café"))

    def test_steps_work_on_what_those_before_left(self, tools: Tools) -> None:
        """In the order that was asked for."""
        rows = _rows(("cafe\u0301", "1"), ("café", "1"))
        steps = [CurationStep.UNICODE_NFC, CurationStep.DROP_DUPLICATES]

        kept, changes = curate(rows, steps, tools)
        other, _ = curate(rows, steps[::-1], tools)

        assert (_numbers(kept), _numbers(other)) == ([1], [1, 2])
        assert [(change.row_number, change.step) for change in changes] == [(1, steps[0]), (2, steps[1])]


class TestMerge:
    """One input that was given several outputs."""

    @pytest.mark.parametrize(
        ("outputs", "kept"),
        [
            ("AAB", [1]),
            ("BAAA", [2]),
            ("AB", [1, 2]),
            ("AABB", [1, 2, 3, 4]),
            ("AABC", [1, 2, 3, 4]),
            ("AAA", [1, 2, 3]),
        ],
    )
    def test_the_output_of_more_than_half_is_kept_once(self, tools: Tools, outputs: str, kept: list[int]) -> None:
        """With no more than half for any, and where none differs, all rows stay."""
        rows = _rows(*(("is it open", output) for output in outputs), ("is it late", "no"))

        left, changes = curate(rows, [CurationStep.MERGE_BY_MAJORITY], tools)

        assert _numbers(left) == [*kept, len(rows)]
        assert len(changes) == len(rows) - len(left)

    def test_the_change_tells_how_many_agree(self, tools: Tools) -> None:
        """And which row speaks for them."""
        rows = _rows(("is it open", "yes"), ("Is it  open", "no"), ("is it open", "yes"))

        _, changes = curate(rows, [CurationStep.MERGE_BY_MAJORITY], tools)

        told = "row 1, with whose output 2 of 3 rows agree"
        assert [(change.row_number, change.message) for change in changes] == [
            (2, f"contradicts {told}"),
            (3, f"repeats {told}"),
        ]

    def test_a_held_out_row_is_kept_of_those_that_agree(self, tools: Tools) -> None:
        """It may be outvoted like the others, and takes no other row's output."""
        rows = _rows(("a", "1"), ("a", "1"), ("a", "2"), held=(2,))
        outvoted = _rows(("a", "1"), ("a", "1"), ("a", "2"), held=(3,))

        assert _numbers(curate(rows, [CurationStep.MERGE_BY_MAJORITY], tools)[0]) == [2]
        assert _numbers(curate(outvoted, [CurationStep.MERGE_BY_MAJORITY], tools)[0]) == [1]

    def test_an_output_that_differs_in_what_was_copied_agrees(self, tools: Tools) -> None:
        """It is right for its own input."""
        rows = _rows(("pay Anna", "Anna"), ("pay anna", "anna"), ("pay ANNA", "ANNA"), ("pay anna", "Bob"))

        left, _ = curate(rows, [CurationStep.MERGE_BY_MAJORITY], tools)

        assert _numbers(left) == [1, 2, 3]


class TestDropLong:
    """Rows of more tokens than were asked for."""

    def test_a_row_of_just_as_many_stays(self, tools: Tools) -> None:
        """Prompt and output together; held-out rows go too. Nothing is cut."""
        rows = _rows(("short", "yes"), ("very " * 20, "yes"), ("short", "no " * 20), held=(3,))
        compiled = list(tools.compiler.tokenize(row.row for row in rows))
        sizes = [len(one.example.input_ids) for one in compiled if one.example]

        left, changes = curate(rows, [CurationStep.DROP_LONG_ROWS], dataclasses.replace(tools, max_row_tokens=sizes[0]))

        assert left == rows[:1]
        assert [change.message for change in changes] == [
            f"takes {size} tokens, more than {sizes[0]}" for size in sizes[1:]
        ]


class TestReplace:
    """Personal data, in a step of its own."""

    def test_the_change_tells_kinds_and_no_digest_of_the_row_before(self, tools: Tools) -> None:
        """One could try telephone numbers in the new row until the digest fits."""
        rows = _rows(("write to ann@acme.com and ann@acme.com", "ANN@ACME.COM"), ("fine", "yes"))

        left, (change,) = curate(rows, [CurationStep.REPLACE_PERSONAL_DATA], tools)

        assert (change.before, change.message) == ("", "a pseudonym for an e-mail address (3)")
        assert change.after == _digest(left[0].row.input, left[0].row.output)
        assert left[1] == rows[1]


@pytest.mark.parametrize("step", CurationStep)
def test_nothing_is_lost_without_a_change(tools: Tools, step: CurationStep) -> None:
    """Each row of the source is there, or told."""
    rows = _rows(*((f"row {number % 7}", f"{number % 3}") for number in range(50)), held=(4, 9))

    tools = dataclasses.replace(tools, max_row_tokens=21)

    kept, changes = curate(rows, [step], tools)

    dropped = {change.row_number for change in changes if not change.after}
    assert {row.row.row for row in kept} | dropped == set(range(1, 51))
    assert not {row.row.row for row in kept} & dropped
    assert curate(rows, [step], tools) == (kept, changes)
