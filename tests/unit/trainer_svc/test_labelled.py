"""Which rows of an upload a teacher is asked about, and what the check makes of its answers."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.curation.agreement import Reply
from trainer_svc.curation.check import Checked, check
from trainer_svc.curation.labelled import Labels
from trainer_svc.curation.question import choose_examples, find_unlabelled, instructions_of
from trainer_svc.curation.reader.row import FileFault, Row, RowFault
from trainer_svc.domain.dataset import CheckedRow, DatasetFormat, InvalidRowPolicy
from trainer_svc.domain.teacher import TeacherSettings

SPEC = ContractSpec(ContractKind.JSON, json_schema='{"type":"integer"}')
WORDS = "ash birch cedar elm fir hazel larch maple oak pine rowan spruce willow yew alder beech".split()
REFUSE, EXCLUDE = InvalidRowPolicy.REFUSE, InvalidRowPolicy.EXCLUDE


def _rows(*fields: Mapping[str, object]) -> list[Row]:
    return [Row(number, row) for number, row in enumerate(fields, 1)]


def _golden(count: int = 16) -> list[dict[str, object]]:
    return [{"input": f"how tall is the {WORDS[n]} by the {WORDS[-n]}", "output": n} for n in range(count)]


def _labelled(
    fields: list[dict[str, object]], answers: Mapping[int, object], policy: InvalidRowPolicy = REFUSE
) -> Checked:
    """The check of an upload whose rows got these answers, each as often as it takes."""
    rows = _rows(*fields)
    unlabelled = find_unlabelled(rows, DatasetFormat.JSONL, SPEC, policy)
    said = {row: [Reply(json.dumps(answers[row]))] for row in unlabelled.questions} if not unlabelled.refusal else {}
    labels = Labels(unlabelled, said, min_agreement=1.0)
    return check(labels.applied(rows, DatasetFormat.JSONL, SPEC), SPEC, policy)


def _related(checked: Checked, row: int) -> list[int]:
    return [other for found in checked.findings if found.row_number == row for other in found.related_rows]


def _reasons(checked: Checked, row: int) -> list[str]:
    return [found.reason for found in checked.findings if found.row_number == row and found.path != "rows"]


class TestFindUnlabelled:
    """What to ask."""

    def test_asks_about_rows_without_an_output(self) -> None:
        """Null is an output in JSON."""
        rows = _rows(*_golden(3), {"input": "a"}, {"input": "b", "output": None}, {"input": "c", "split": "train"})

        found = find_unlabelled(rows, DatasetFormat.JSONL, SPEC, EXCLUDE)

        assert found.questions == {4: "a", 6: "c"}
        assert not found.refusal

    def test_an_empty_cell_of_csv_is_no_output(self) -> None:
        """CSV has no other way to leave it out."""
        rows = _rows({"input": "a", "output": "1"}, {"input": "b", "output": "2"}, {"input": "c", "output": ""})

        assert find_unlabelled(rows, DatasetFormat.CSV, SPEC, REFUSE).questions == {3: "c"}
        assert find_unlabelled(rows, DatasetFormat.JSONL, SPEC, EXCLUDE).questions == {}

    def test_asks_nothing_twice(self) -> None:
        """Neither what a golden row answers nor what another row asks, but for case and spacing."""
        rows = _rows(*_golden(3), {"input": " How tall is the ASH by the ash"}, {"input": "new"}, {"input": "NEW"})

        found = find_unlabelled(rows, DatasetFormat.JSONL, SPEC, REFUSE)

        assert found.questions == {5: "new"}
        assert {row: fault.reason for row, fault in found.dropped.items()} == {
            4: "SYNTHETIC_DUPLICATED", 6: "SYNTHETIC_DUPLICATED",
        }  # fmt: skip
        assert "row 1" in found.dropped[4].message
        assert found.dropped[4].related_rows == (1,)

    @pytest.mark.parametrize(
        "row",
        [{"input": ""}, {"input": 7}, {"input": "x" * 40_000}, {"input": "\ud800"}, {"input": "a", "synthetic": True},
         {"input": "a", "split": "holdout"}, {"input": "a", "split": "test"}],
    )  # fmt: skip
    def test_does_not_ask_about_rows_that_are_invalid(self, row: dict[str, object]) -> None:
        """Whatever the answer were, they could not be used."""
        found = find_unlabelled(_rows(*_golden(3), row), DatasetFormat.JSONL, SPEC, EXCLUDE)

        assert found.questions == {}

    @pytest.mark.parametrize(
        ("rows", "why"),
        [
            ([{"input": "a"}], "no golden row can be held out"),
            ([*_golden(1), {"input": "a"}], "no golden row can be held out"),
            ([*_golden(3), {"input": "b", "output": "x"}, {"input": "a"}], "1 other rows are invalid"),
            ([*_golden(3), {"input": "a", "split": "holdout"}, {"input": "a"}], "1 other rows are invalid"),
        ],
    )
    def test_asks_nothing_where_the_dataset_fails_anyway(self, rows: list[dict[str, object]], why: str) -> None:
        """Each answer is paid for."""
        assert why in find_unlabelled(_rows(*rows), DatasetFormat.JSONL, SPEC, REFUSE).refusal

    def test_asks_nothing_of_a_file_that_cannot_be_read_to_its_end(self) -> None:
        """The check says so."""

        def rows() -> object:
            yield from _rows(*_golden(3), {"input": "a"})
            raise FileFault("FILE_UNREADABLE", "is broken")

        assert find_unlabelled(rows(), DatasetFormat.JSONL, SPEC, REFUSE).refusal == "is broken"  # type: ignore[arg-type]


class TestQuestion:
    """In what words."""

    @pytest.mark.parametrize(
        ("spec", "told"),
        [
            (SPEC, '{"type":"integer"}'),
            (ContractSpec(ContractKind.SQL, ddl="CREATE TABLE t (a TEXT);", dialect="mysql"), "SQL dialect mysql"),
            (ContractSpec(ContractKind.SQL, ddl="CREATE TABLE t (a TEXT);"), "CREATE TABLE t (a TEXT);"),
            (ContractSpec(ContractKind.CHOICE, choices=("yes", "no")), "yes\nno"),
            (ContractSpec(ContractKind.REGEX, pattern="[0-9]+"), "[0-9]+"),
            (ContractSpec(ContractKind.TEXT, max_chars=40), "40 characters"),
            (ContractSpec(ContractKind.TEXT), "output alone"),
        ],
    )
    def test_states_the_contract_after_the_owner_s_prompt(self, spec: ContractSpec, told: str) -> None:
        """Of every kind."""
        said = instructions_of(spec, "Read the invoice.")

        assert said.startswith("Read the invoice.\n\n")
        assert told in said

    def test_shows_golden_rows_by_the_seed(self) -> None:
        """The same for each row; what another teacher said is no example."""
        rows = [CheckedRow(n, f"input {n}", f"{n}", synthetic=n % 2 == 0) for n in range(40)]
        settings = [TeacherSettings("large", example_count=5, seed=seed) for seed in (1, 1, 2)]

        first, again, other = (choose_examples(rows, wanted) for wanted in settings)

        assert first == again != other
        assert len(set(first)) == 5
        assert all(int(output) % 2 for _, output in first)

    def test_shows_as_many_as_there_are(self) -> None:
        """A small dataset is no error."""
        assert choose_examples([CheckedRow(1, "a", "1")], TeacherSettings("large")) == (("a", "1"),)


class TestCheck:
    """Golden rows and labelled ones together."""

    def test_trains_on_labelled_rows_and_never_holds_them_out(self) -> None:
        """The score would be of the teacher's taste."""
        asked = [{"input": f"what grows on {word} in year {n}"} for n, word in enumerate(WORDS)]

        checked = _labelled([*_golden(), *asked], {17 + n: 100 + n for n in range(len(asked))})

        assert checked.is_usable
        assert checked.report.synthetic is not None
        assert sum(row.synthetic for row in checked.train) == checked.report.synthetic.kept_count > 10
        assert checked.holdout
        assert not any(row.synthetic for row in checked.holdout)
        assert checked.report.invalid_count == 0

    def test_the_holdout_is_that_of_the_golden_rows_alone(self) -> None:
        """And no golden row leaves for a labelled one."""
        golden = _golden()
        alone = _labelled(golden, {})
        asked = [{"input": f"how tall is the {word} by the {WORDS[n - 3]}"} for n, word in enumerate(WORDS)]

        both = _labelled([*golden, *asked], dict.fromkeys(range(17, 40), 3))

        assert both.holdout == alone.holdout
        assert [row for row in both.train if not row.synthetic] == list(alone.train)

    def test_drops_what_is_like_a_held_out_row(self) -> None:
        """A leak flatters the evaluation."""
        golden = [*_golden(), {"input": "please tell me the height of the old linden tree", "output": 50,
                               "split": "holdout"}]  # fmt: skip

        checked = _labelled([*golden, {"input": "please tell me the height of the old linden trees"}], {18: 50})

        assert _reasons(checked, 18) == ["SYNTHETIC_LEAKED"]
        assert _related(checked, 18) == [17]
        assert checked.report.synthetic is not None
        assert checked.report.synthetic.dropped_counts == {"SYNTHETIC_LEAKED": 1}
        assert checked.is_usable

    def test_drops_what_repeats_a_row_that_is_trained_on(self) -> None:
        """Of two labelled rows the later one; of a golden and a labelled one the labelled, wherever it stands."""
        golden = [*_golden(), {"input": "x y z", "output": 0, "split": "holdout"}]
        asked = [{"input": "please tell me the height of the old linden tree in front of our house"},
                 {"input": "please tell me the height of the old linden trees in front of our house"}]  # fmt: skip
        own = {"input": "please tell me the height of the old linden tree in front of the house", "output": 50}

        two = _labelled([*golden, *asked], {18: 50, 19: 50})
        three = _labelled([*golden, *asked, own], {18: 50, 19: 50})

        assert (_reasons(two, 18), _reasons(two, 19)) == ([], ["SYNTHETIC_DUPLICATED"])
        assert (_related(two, 19), _related(three, 18)) == ([18], [20])
        assert [_reasons(three, row)[:1] for row in (18, 19, 20)] == [["SYNTHETIC_DUPLICATED"]] * 2 + [[]]

    def test_drops_what_contradicts_a_golden_row(self) -> None:
        """The golden one is right."""
        golden = [*_golden(), {"input": "x y z", "output": 0, "split": "holdout"},
                  {"input": "please tell me the height of the old linden tree", "output": 50}]  # fmt: skip

        checked = _labelled([*golden, {"input": "please tell me the height of the old linden trea"}], {19: 77})

        assert _reasons(checked, 19) == ["SYNTHETIC_CONTRADICTS"]
        assert _related(checked, 19) == [18]
        assert _reasons(checked, 18) == []

    def test_an_input_that_was_not_asked_about_again_names_the_row(self) -> None:
        """As a number too."""
        asked = [{"input": "what grows here"}, {"input": "What  grows here"}]

        checked = _labelled([*_golden(), *asked], {17: 50})

        assert (_reasons(checked, 18), _related(checked, 18)) == (["SYNTHETIC_DUPLICATED"], [17])

    def test_dropped_rows_fail_nothing(self) -> None:
        """They are told, and counted apart from invalid ones."""
        checked = _labelled([*_golden(), {"input": "a"}, {"input": "b"}], {17: "breach", 18: 5})

        assert _reasons(checked, 17) == ["TEACHER_BROKE_CONTRACT"]
        assert checked.is_usable
        assert (checked.report.invalid_count, checked.report.row_count) == (0, 18)
        assert not any(found.blocking for found in checked.findings)

    def test_without_golden_rows_to_hold_out_it_fails(self) -> None:
        """And nothing was asked."""
        checked = _labelled([{"input": f"row {word}"} for word in WORDS], {})

        assert not checked.is_usable
        assert checked.report.finding_counts == {"TEACHER_NOT_ASKED": len(WORDS), "DATASET_TOO_SMALL": 1}

    def test_says_why_a_held_out_row_has_no_output(self) -> None:
        """It is the owner's to give."""
        checked = _labelled([*_golden(), {"input": "a", "split": "holdout"}], {}, EXCLUDE)

        (found,) = [found for found in checked.findings if found.row_number == 17]
        assert (found.reason, found.blocking) == ("ROW_INVALID", True)
        assert "never labelled" in found.message

    def test_a_fault_fails_the_dataset(self) -> None:
        """With its reason."""
        labels = Labels(fault=FileFault("TEACHER_REFUSED", "the teacher refuses"))

        checked = check(labels.applied(_rows(*_golden()), DatasetFormat.JSONL, SPEC), SPEC, EXCLUDE)

        assert not checked.is_usable
        assert [(found.reason, found.path) for found in checked.findings] == [("TEACHER_REFUSED", "file")]

    def test_faults_of_the_file_pass_through(self) -> None:
        """As without a teacher."""
        fault = RowFault(1, "ROW_NOT_JSON", "", "is not JSON")

        assert list(Labels().applied([fault], DatasetFormat.JSONL, SPEC)) == [fault]
