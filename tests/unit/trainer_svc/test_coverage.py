"""What the report says of a dataset as a whole."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.curation.coverage import coverage_findings
from trainer_svc.domain.dataset import CheckedRow, Finding

_TEXT = ContractSpec(ContractKind.TEXT)
_SCHEMA = {
    "type": "object",
    "properties": {
        "state": {"enum": ["open", "closed", "lost"]},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "buyer": {"type": "object", "properties": {"name": {"type": "string"}}},
    },
    "$defs": {
        "line": {
            "anyOf": [
                {"properties": {"a/b": {"type": "string"}, "lines": {"items": {"$ref": "#/$defs/line"}}}},
                {"properties": {"kind": {"enum": ["x", "y"]}}},
            ]
        }
    },
}


def _find(spec: ContractSpec, outputs: Sequence[str]) -> list[Finding]:
    rows = [CheckedRow(row, f"input {row}", text) for row, text in enumerate(outputs, 1)]
    return list(coverage_findings(spec, rows, len(rows)))


def _json(*outputs: object) -> list[Finding]:
    """Of a hundred rows, so that nothing is said of their number."""
    spec = ContractSpec(ContractKind.JSON, json_schema=json.dumps(_SCHEMA))
    return _find(spec, [json.dumps(outputs[number % len(outputs)]) for number in range(100)])


class TestSize:
    """How many rows there should be."""

    def test_few_and_many_are_told(self) -> None:
        """Under the last row, without stopping anything."""
        told = {
            count: [(f.reason, f.row_number, f.blocking) for f in _find(_TEXT, [f"{row}" for row in range(count)])]
            for count in (1, 99, 100, 5000, 5001)
        }

        assert told == {
            1: [("DATASET_SMALL", 1, False)],
            99: [("DATASET_SMALL", 99, False)],
            100: [],
            5000: [],
            5001: [("DATASET_LARGE", 5001, False)],
        }


class TestAnswers:
    """One answer for all."""

    def test_one_answer_for_nearly_all_rows_is_told(self) -> None:
        """With what it is."""
        (finding,) = _find(_TEXT, ["unknown"] * 80 + [f"{row}" for row in range(20)])

        assert finding.reason == "ANSWERS_ALIKE"
        assert "80 of 100 rows have the output 'unknown'" in finding.message

    def test_a_frequent_answer_is_left_alone(self) -> None:
        """Classes are seldom of one size."""
        assert _find(_TEXT, ["unknown"] * 79 + [f"{row}" for row in range(21)]) == []


class TestNeverSeen:
    """What the contract allows and no row shows."""

    def test_choices_are_told(self) -> None:
        """In the order of the contract."""
        spec = ContractSpec(ContractKind.CHOICE, choices=("yes", "no", "perhaps", "later"))

        (finding,) = _find(spec, ["yes", "perhaps"] * 50)

        assert finding.reason == "NEVER_SEEN"
        assert "shows 'no', 'later', which" in finding.message

    def test_fields_and_listed_values_are_told(self) -> None:
        """Within lists, references and alternatives; of what is missing as a whole, not its parts."""
        (finding,) = _json({"state": "open", "lines": [{"a/b": "c"}]}, {"state": "lost", "lines": [{"kind": "x"}]})

        assert "shows /buyer, /lines/*/lines, /state = 'closed', /lines/*/kind = 'y', which" in finding.message

    def test_an_empty_list_shows_its_field(self) -> None:
        """What is within it is another thing."""
        (finding,) = _json({"state": "open", "lines": [], "buyer": {}}, {"state": "closed"}, {"state": "lost"})

        assert "shows /lines/*, /buyer/name, which" in finding.message

    def test_what_comes_after_a_long_list_is_seen(self) -> None:
        """And its last item."""
        lines = [{"a/b": "c", "kind": "x"}] * 300 + [{"kind": "y", "lines": [{"kind": "x"}]}]

        assert (
            _json({"lines": lines, "buyer": {"name": "A"}, "state": "open"}, {"state": "closed"}, {"state": "lost"})
            == []
        )

    def test_values_without_number_are_not_said_to_be_missing(self) -> None:
        """Not all are remembered: a list of choices that anything may stand beside tells nothing then."""
        schema = {"type": "object", "properties": {"n": {"anyOf": [{"enum": ["never"]}, {"type": "string"}]}}}
        spec = ContractSpec(ContractKind.JSON, json_schema=json.dumps(schema))

        few, many = (_find(spec, [json.dumps({"n": f"{row}"}) for row in range(count)]) for count in (200, 2000))

        assert [finding.reason for finding in few] == ["NEVER_SEEN"]
        assert many == []

    def test_rows_that_show_all_are_left_alone(self) -> None:
        """A schema that refers to itself has no end, rows have."""
        line = {"a/b": "c", "kind": "x", "lines": [{"a/b": "", "kind": "y", "lines": []}]}
        outputs = [{"state": state, "lines": [line], "buyer": {"name": "A"}} for state in ("open", "closed", "lost")]

        assert _json(*outputs) == []

    @pytest.mark.parametrize(
        "schema",
        [
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "properties": {
                    "a": {"$ref": "#/properties/t/items/0", "enum": ["ignored beside a reference"]},
                    "t": {"type": "array", "items": [{"type": "string"}]},
                },
            },
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "definitions": {"x": {"$id": "#foo", "type": "string"}},
                "properties": {"a": {"$ref": "#foo"}, "t": True},
            },
            {"$defs": {"a%b": {"const": "c"}}, "properties": {"a": {"$ref": "#/$defs/a%25b"}, "t": {"enum": [[], 1]}}},
        ],
    )
    def test_references_are_followed_as_their_draft_has_it(self, schema: dict[str, object]) -> None:
        """Places in lists, names and escapes."""
        spec = ContractSpec(ContractKind.JSON, json_schema=json.dumps(schema))

        assert _find(spec, [json.dumps({"a": "c", "t": ["x", row]}) for row in range(100)]) == []

    def test_of_a_schema_that_refers_to_itself_each_part_is_named_once(self) -> None:
        """A hundred properties, each the whole schema again."""
        schema = {"type": "object", "properties": {f"p{number}": {"$ref": "#"} for number in range(100)}}
        spec = ContractSpec(ContractKind.JSON, json_schema=json.dumps(schema))

        (finding,) = _find(spec, [json.dumps({"p0": {"p1": {"p2": {}}}, "n": row}) for row in range(100)])

        assert "shows /p3, /p4," in finding.message
        assert "and 77 more" in finding.message
