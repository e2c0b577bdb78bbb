"""What the report says of the parts of a schema: those never seen, and those of a few rows."""

from __future__ import annotations

import json

import pytest

from shared.contracts.spec import ContractKind, ContractSpec
from tests.unit.trainer_svc.coverage_sample import SCHEMA, coverage_of, coverage_of_outputs


class TestNeverSeen:
    """What the contract allows and no row shows."""

    def test_choices_are_told(self) -> None:
        """In the order of the contract."""
        spec = ContractSpec(ContractKind.CHOICE, choices=("yes", "no", "perhaps", "later"))

        (finding,) = coverage_of(spec, ["yes", "perhaps"] * 50)

        assert finding.reason == "NEVER_SEEN"
        assert "shows 'no', 'later', which" in finding.message

    def test_fields_and_listed_values_are_told(self) -> None:
        """Within lists, references and alternatives; of what is missing as a whole, not its parts."""
        (finding,) = coverage_of_outputs(
            {"state": "open", "lines": [{"a/b": "c"}]}, {"state": "lost", "lines": [{"kind": "x"}]}
        )

        assert "shows /buyer, /lines/*/lines, /state = 'closed', /lines/*/kind = 'y', which" in finding.message

    def test_an_empty_list_shows_its_field(self) -> None:
        """What is within it is another thing."""
        (finding,) = coverage_of_outputs(
            {"state": "open", "lines": [], "buyer": {}}, {"state": "closed"}, {"state": "lost"}
        )

        assert "shows /lines/*, /buyer/name, which" in finding.message

    def test_what_comes_after_a_long_list_is_seen(self) -> None:
        """And its last item."""
        lines = [{"a/b": "c", "kind": "x"}] * 300 + [{"kind": "y", "lines": [{"kind": "x"}]}]

        assert (
            coverage_of_outputs(
                {"lines": lines, "buyer": {"name": "A"}, "state": "open"}, {"state": "closed"}, {"state": "lost"}
            )
            == []
        )

    def test_values_without_number_are_not_said_to_be_missing(self) -> None:
        """Not all are remembered: a list of choices that anything may stand beside tells nothing then."""
        schema = {"type": "object", "properties": {"n": {"anyOf": [{"enum": ["never"]}, {"type": "string"}]}}}
        spec = ContractSpec(ContractKind.JSON, json_schema=json.dumps(schema))

        few, many = (coverage_of(spec, [json.dumps({"n": f"{row}"}) for row in range(count)]) for count in (200, 2000))

        assert [finding.reason for finding in few] == ["NEVER_SEEN"]
        assert many == []

    def test_rows_that_show_all_are_left_alone(self) -> None:
        """A schema that refers to itself has no end, rows have."""
        line = {"a/b": "c", "kind": "x", "lines": [{"a/b": "", "kind": "y", "lines": []}]}
        outputs = [{"state": state, "lines": [line], "buyer": {"name": "A"}} for state in ("open", "closed", "lost")]

        assert coverage_of_outputs(*outputs) == []

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

        assert coverage_of(spec, [json.dumps({"a": "c", "t": ["x", row]}) for row in range(100)]) == []

    def test_of_a_schema_that_refers_to_itself_each_part_is_named_once(self) -> None:
        """A hundred properties, each the whole schema again."""
        schema = {"type": "object", "properties": {f"p{number}": {"$ref": "#"} for number in range(100)}}
        spec = ContractSpec(ContractKind.JSON, json_schema=json.dumps(schema))

        (finding,) = coverage_of(spec, [json.dumps({"p0": {"p1": {"p2": {}}}, "n": row}) for row in range(100)])

        assert "shows /p3, /p4," in finding.message
        assert "and 77 more" in finding.message

    def test_what_may_stand_too_deep_to_be_seen_is_not_said_to_be_missing(self) -> None:
        """Nor a name that is too long to be looked into."""
        long = "k" * 250
        schema = {"type": "object", "properties": {long: {"const": "x"}, "a": {"type": "integer"}}}
        spec = ContractSpec(ContractKind.JSON, json_schema=json.dumps(schema))

        assert coverage_of(spec, [json.dumps({long: "x", "a": row}) for row in range(100)]) == []

    def test_a_schema_that_names_millions_of_fields_is_not_walked(self) -> None:
        """Thousands of properties, each the whole schema again, at hundreds of fields: that would cost minutes."""
        schema = {"type": "object", "properties": {f"p{number}": {"$ref": "#"} for number in range(4000)}}
        spec = ContractSpec(ContractKind.JSON, json_schema=json.dumps(schema))
        outputs: list[object] = []
        for row in range(100):
            output: object = {}
            for depth in range(15):
                output = {f"p{(row * 7 + depth) % 150}": output}
            outputs.append(output)

        assert coverage_of(spec, [json.dumps(output) for output in outputs]) == []


class TestFieldRare:
    """Fields that next to no row shows."""

    def test_a_field_of_one_or_two_rows_is_told_by_them(self) -> None:
        """Under the first, with the other; of a field that is rare as a whole nothing within."""
        outputs: list[object] = [{"state": state} for state in ("open", "closed", "lost")] * 20
        outputs[7] = outputs[9] = {"state": "open", "buyer": {"name": "A"}}
        outputs[30] = {"state": "open", "lines": [{"kind": "x"}]}
        spec = ContractSpec(ContractKind.JSON, json_schema=json.dumps(SCHEMA))

        found = [f for f in coverage_of(spec, [json.dumps(output) for output in outputs]) if f.reason == "FIELD_RARE"]

        assert [(f.row_number, f.related_rows, f.path) for f in found] == [
            (8, (10,), "rows[8].output"),
            (31, (), "rows[31].output"),
        ]
        assert "shows /buyer, which 2 of 60 rows" in found[0].message
        assert "shows /lines, which 1 of 60 rows" in found[1].message
        assert not any(f.blocking for f in found)

    def test_a_field_of_three_rows_is_left_alone(self) -> None:
        """However often one row has it."""
        outputs: list[object] = [{"state": state} for state in ("open", "closed", "lost")] * 20
        outputs[:3] = [{"lines": [{"kind": "x"}]}] * 3
        outputs[5] = {"state": "open", "lines": [{"a/b": "c"}] * 9}
        spec = ContractSpec(ContractKind.JSON, json_schema=json.dumps(SCHEMA))

        (found,) = (
            f for f in coverage_of(spec, [json.dumps(output) for output in outputs]) if f.reason == "FIELD_RARE"
        )

        assert (found.row_number, "shows /lines/*/a~1b, which 1 of" in found.message) == (6, True)

    def test_a_part_that_is_referred_to_is_counted_at_each_field(self) -> None:
        """One field says nothing of another, however often that is shown."""
        address = {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}}
        both = {"bill": {"$ref": "#/$defs/address"}, "ship": {"$ref": "#/$defs/address"}}
        schema = {"type": "object", "$defs": {"address": address}, "properties": both}
        often: list[object] = [{"bill": {"city": "a", "zip": "1"}, "ship": {"city": "b"}}] * 20
        never: list[object] = [{"bill": {"city": "a"}, "ship": {"city": "b"}}] * 20
        often[3] = never[3] = {"bill": {"city": "a"}, "ship": {"city": "b", "zip": "1"}}
        spec = ContractSpec(ContractKind.JSON, json_schema=json.dumps(schema))

        found = [
            [(f.row_number, f.message) for f in coverage_of(spec, [json.dumps(output) for output in outputs])][-1]
            for outputs in (often, never)
        ]

        assert found == [(4, "shows /ship/zip, which 1 of 20 rows to train on show")] * 2

    def test_what_is_too_deep_or_too_long_a_name_is_not_judged(self) -> None:
        """Nor is what is around it: it is shown by what it holds."""
        name = "k" * 120
        tree = {"type": "object", "properties": {name: {"$ref": "#/$defs/tree"}, "leaf": {"type": "string"}}}
        schema = {"$defs": {"tree": tree}, "type": "object", "properties": {"a": {"$ref": "#/$defs/tree"}}}
        outputs: list[object] = [{"a": {name: {name: {"leaf": "x"}}}}] * 19
        spec = ContractSpec(ContractKind.JSON, json_schema=json.dumps(schema))

        found = coverage_of(spec, [json.dumps(output) for output in [*outputs, {"a": {}}]])

        assert [finding.reason for finding in found] == ["ANSWERS_ALIKE"]

    def test_what_all_rows_show_is_not_rare(self) -> None:
        """However few they are."""
        spec = ContractSpec(ContractKind.JSON, json_schema=json.dumps(SCHEMA))

        found = coverage_of(spec, ['{"state":"open"}', '{"state":"lost"}'])

        assert "FIELD_RARE" not in [finding.reason for finding in found]

    def test_the_depths_of_what_holds_itself_are_left_alone(self) -> None:
        """Few trees are alike; a field that no three rows have at any depth is told where it is."""
        schema = {"type": "object", "properties": {"kind": {"type": "string"}}}
        schema["properties"] |= {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "note": {"type": "string"}}
        leaf = {"kind": "x"}
        outputs: list[object] = [{"kind": f"{row}", "left": leaf, "right": leaf} for row in range(20)]
        outputs[4] = {"kind": "x", "left": {"kind": "y", "right": {"kind": "z", "left": leaf}}, "right": leaf}
        outputs[6] = {"kind": "x", "left": {"kind": "y", "right": {"kind": "z", "note": "?"}}, "right": leaf}
        spec = ContractSpec(ContractKind.JSON, json_schema=json.dumps(schema))

        found = coverage_of(spec, [json.dumps(output) for output in outputs])

        assert [(f.row_number, f.message.partition(",")[0]) for f in found] == [(7, "shows /left/right/note")]

    def test_a_field_deep_within_a_list_of_lists_is_told_with_its_rows(self) -> None:
        """The field that is rare as a whole, though its part stands in the other rows elsewhere."""
        deep = [{"lines": [{"lines": [{"lines": [{"kind": "x"}]}]}]}, {"lines": [{"lines": [{"kind": "y"}]}]}]
        outputs: list[object] = [{"state": "open", "lines": [{"kind": "x"}, {"a/b": "c"}]}] * 30
        spec = ContractSpec(ContractKind.JSON, json_schema=json.dumps(SCHEMA))

        found = coverage_of(spec, [json.dumps(output) for output in [*outputs, *deep]])

        assert [(f.row_number, f.related_rows) for f in found if f.reason == "FIELD_RARE"] == [(31, (32,))]
