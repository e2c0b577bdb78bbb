"""Each keyword of JSON Schema as it is written: what satisfies it can be generated, what breaks it cannot."""

from __future__ import annotations

import random
from typing import Any

import pytest

from shared.contracts.spec import UndeclaredProperties
from tests.unit.contracts.json_oracle import SchemaCase

Json = Any  # JSON values
_TREE = {
    "$defs": {"node": {
        "type": "object", "properties": {"v": {"type": "integer"}, "kids": {"items": {"$ref": "#/$defs/node"}}},
        "required": ["v"], "additionalProperties": False,
    }},
    "$ref": "#/$defs/node",
}  # fmt: skip
_DRAFT4 = {"$schema": "http://json-schema.org/draft-04/schema#"}
_DRAFT7 = {"$schema": "http://json-schema.org/draft-07/schema#"}

# name: (schema, valid instances, invalid instances)
CASES: dict[str, tuple[dict[str, Json], list[Json], list[Json]]] = {
    "anything": ({}, [None, [1, {"a": [True, "x"]}], {"a": {"b": []}}, -2.5], []),
    "all_of": ({"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 9}]}, [3, 9], [2, 10, 3.5, "x"]),
    "all_of_objects": (
        {"allOf": [{"properties": {"a": {"type": "integer"}}}, {"required": ["a"], "properties": {"b": False}}]},
        [{"a": 1}, {"a": 1, "c": 2}, [1], "x"],
        [{}, {"a": "x"}, {"a": 1, "b": 2}],
    ),
    "any_of_beside_properties": (
        {"type": "object", "properties": {"a": {"type": "integer"}},
         "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        [{"a": 1}, {"b": None}, {"a": 1, "b": 2}],
        [{}, {"a": "x", "b": 1}],
    ),
    "one_of_overlapping": ({"oneOf": [{"type": "integer"}, {"minimum": 2}]}, [1, 2.5, "x"], [3, 1.5]),
    "one_of_untagged": (
        {"oneOf": [{"required": ["a"]}, {"required": ["b"]}], "type": "object"},
        [{"a": 1}, {"b": 1, "c": 0}],
        [{}, {"a": 1, "b": 1}],
    ),
    "not_type": ({"not": {"type": ["string", "array"]}}, [1, None, {}], ["x", []]),
    "not_integer": ({"type": "number", "not": {"type": "integer"}}, [0.5, -1.25], [0, 3]),
    "not_enum": ({"enum": [1, 2, 3], "not": {"const": 2}}, [1, 3], [2]),
    "not_enum_of_strings": (
        {"type": "string", "not": {"enum": ["no", "nothing"]}}, ["", "n", "not"], ["no", "nothing"],
    ),
    "not_number": ({"type": "integer", "not": {"enum": [0, 7]}}, [-1, 1, 70], [0, 7]),
    "not_required": ({"type": "object", "not": {"required": ["a"]}}, [{}, {"b": 1}], [{"a": 1}]),
    "not_pattern": ({"type": "string", "not": {"pattern": "^a"}}, ["", "ba"], ["a", "ab"]),
    "not_properties": (
        {"type": "object", "not": {"properties": {"a": {"type": "null"}}}},
        [{"a": 1}],
        [{}, {"a": None}],
    ),
    "not_any_of": ({"not": {"anyOf": [{"type": "string"}, {"maximum": 5}]}}, [6, 7.5], ["x", 5, None]),
    "if_then_else": (
        {"type": "integer", "if": {"minimum": 10}, "then": {"multipleOf": 5}, "else": {"maximum": 3}},
        [10, 25, 3, -8],
        [11, 4],
    ),
    "if_const": (
        {
            "properties": {"kind": {"enum": ["a", "b"]}, "n": {"type": "integer"}},
            "required": ["kind"],
            "if": {"properties": {"kind": {"const": "a"}}},
            "then": {"required": ["n"]},
        },
        [{"kind": "a", "n": 1}, {"kind": "b"}],
        [{"kind": "a"}],
    ),
    "dependent_required": (
        {"type": "object", "dependentRequired": {"a": ["b"]}},
        [{}, {"a": 1, "b": 2}, {"b": 1}],
        [{"a": 1}],
    ),
    "dependent_schemas": (
        {"type": "object", "dependentSchemas": {"a": {"maxProperties": 1}}},
        [{}, {"a": 1}, {"b": 1, "c": 2}],
        [{"a": 1, "b": 2}],
    ),
    "min_properties": ({"type": "object", "minProperties": 2}, [{"a": 1, "b": 2}], [{}, {"a": 1}]),
    "min_properties_declared": (
        {"properties": {"a": True, "b": True, "c": True}, "additionalProperties": False, "minProperties": 2,
         "maxProperties": 2, "type": "object"},
        [{"a": 1, "c": 2}, {"b": 1, "c": 2}],
        [{"a": 1}, {"a": 1, "b": 2, "c": 3}],
    ),
    "property_names": ({"type": "object", "propertyNames": {"pattern": "^x-"}}, [{}, {"x-a": 1}], [{"a": 1}]),
    "property_names_enum": (
        {"type": "object", "propertyNames": {"enum": ["a", "b"]}, "additionalProperties": {"type": "integer"}},
        [{}, {"a": 1, "b": 2}],
        [{"c": 1}, {"a": "x"}],
    ),
    "pattern_properties": (
        {"type": "object", "patternProperties": {"^n": {"type": "integer"}, "s": {"maximum": 5}},
         "additionalProperties": {"type": "string"}},
        [{"n": 1, "as": "x", "ns": 5, "z": ""}],
        [{"n": "x"}, {"ns": 6}, {"z": 1}],
    ),
    "pattern_properties_declared": (
        {"properties": {"na": {"minimum": 2}}, "patternProperties": {"^n": {"type": "integer"}},
         "additionalProperties": False, "type": "object"},
        [{"na": 2, "nb": 0}],
        [{"na": 2.5}, {"na": 1}, {"b": 1}],
    ),
    "additional_schema": ({"type": "object", "additionalProperties": {"type": "null"}}, [{}, {"k": None}], [{"k": 1}]),
    "required_undeclared": ({"type": "object", "required": ["q\"'"]}, [{"q\"'": 1}], [{}]),
    "unevaluated_properties": (
        {"allOf": [{"properties": {"a": True}}], "properties": {"b": True}, "unevaluatedProperties": False,
         "type": "object"},
        [{"a": 1, "b": 2}],
        [{"c": 1}],
    ),
    "unevaluated_any_of": (
        {"anyOf": [{"properties": {"a": {"const": 1}}, "required": ["a"]},
                   {"properties": {"b": {"const": 2}}, "required": ["b"]}], "unevaluatedProperties": False,
         "type": "object"},
        [{"a": 1}, {"b": 2}, {"a": 1, "b": 2}],
        [{"a": 1, "c": 3}, {}],
    ),
    "prefix_items": (
        {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": {"type": "null"}},
        [[], [1], [1, "x"], [1, "x", None, None]],
        [["x"], [1, "x", 3]],
    ),
    "prefix_items_closed": (
        {"type": "array", "prefixItems": [True, {"type": "string"}], "items": False, "minItems": 1},
        [[1], [None, "x"]],
        [[], [1, 2], [1, "x", 3]],
    ),
    "unevaluated_items": (
        {"type": "array", "prefixItems": [{"type": "integer"}], "unevaluatedItems": False}, [[], [1]], [[1, 2]],
    ),
    "contains": (
        {"type": "array", "items": {"type": "integer"}, "contains": {"minimum": 5}, "maxItems": 3},
        [[5], [1, 6, 2], [9, 9, 9]],
        [[], [1], [1, 2, 3, 9], ["x", 5]],
    ),
    "contains_more": ({"type": "array", "contains": {"const": 1}, "minItems": 3}, [[0, 0, 1, 0], [1, 2, 3]], [[1, 2]]),
    "contains_none": ({"type": "array", "contains": {"type": "string"}, "maxContains": 0, "minContains": 0},
                      [[], [1]], [["x"]]),
    "contains_more_than_at_most": (
        {"anyOf": [{"type": "null"}, {"type": "array", "contains": {"type": "string"}, "maxContains": 0},
                   {"type": "array", "contains": True, "minContains": 3, "maxContains": 2}]},
        [None],
        [[], [1], ["x"], [1, 2], [1, 2, 3]],
    ),
    "draft7_contains_counts_nothing": (
        {**_DRAFT7, "type": "array", "contains": {"type": "integer"}, "minContains": 0, "maxContains": 1},
        [[1], [1, "x", 2]],
        [[], ["x"]],
    ),
    "draft7_not_contains_counts_nothing": (
        {**_DRAFT7, "type": "array", "not": {"contains": {"type": "integer"}, "maxContains": 1}},
        [[], ["x"]],
        [[1], [1, 2]],
    ),
    "unique_without_items": (
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "maxItems": 0}, [[]], [["a"]],
    ),
    "unique_of_one_item": (
        {"type": "array", "items": {"type": "object"}, "uniqueItems": True, "maxItems": 1},
        [[], [{"a": 1}]],
        [[{}, {}]],
    ),
    "unique_enum": (
        {"type": "array", "items": {"enum": ["a", "b", 3]}, "uniqueItems": True},
        [[], ["b"], [3, "a", "b"]],
        [["a", "a"], ["a", "b", 3, 3]],
    ),
    "unique_strings": (
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "minItems": 1},
        [["", "a"]],
        [[], ["a", "a"]],
    ),
    "unique_of_equal_numbers": (
        {"type": "array", "uniqueItems": True, "minItems": 2, "items": {"enum": [1e16, 10**16, 10**15, 1e15, 3]}},
        [[3, 10**16], [10**15, 3]],
        [[1e16, 10**16], [10**15, 1e15]],
    ),
    "named_beside_others": (
        {"type": "object", "properties": {"v": {"type": "integer"}, "w": {"type": "string"}},
         "additionalProperties": {"type": "array", "items": {"type": "null"}}},
        [{"v": 1}, {"w": "", "x": []}, {"v": 2, "w": "a", "x": [None]}, {}],
        [{"v": []}, {"w": []}, {"x": 1}],
    ),
    "named_beside_others_deep": (
        {"$ref": "#/$defs/n",
         "$defs": {"n": {"type": "object", "properties": {"v": {"type": "integer"}, "l": {"$ref": "#/$defs/n"}},
                         "additionalProperties": {"$ref": "#/$defs/n"}, "minProperties": 1}}},
        [{"v": 1}, {"l": {"v": 1}}, {"v": 1, "x": {"y": {"v": 2}}}],
        [{}, {"v": {"v": 1}}, {"x": 1}],
    ),
    "unique_of_too_few": (
        {"anyOf": [
            {"type": "null"},
            {"type": "integer"},
            {"type": "array", "uniqueItems": True, "minItems": 3,
             "items": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 2}, {"enum": [2, 1]}]}}]},
        [None, 7],
        [[1, 2], [1, 2, 2]],
    ),
    "unique_numbers": ({"type": "array", "items": {"type": "number"}, "uniqueItems": True}, [[1, 1.5, -1]], [[1, 1.0]]),
    "multiple_of": ({"type": "integer", "multipleOf": 25, "minimum": -110}, [-100, 0, 1075], [-125, 30]),
    "multiple_of_fraction": ({"type": "number", "multipleOf": 0.25}, [0, -1.25, 7.5, 100.75], [0.1, 1.3]),
    "multiple_of_listed": ({"type": "integer", "multipleOf": 7, "minimum": 0, "maximum": 700}, [0, 49, 700], [1, 707]),
    "multiples_of_both": ({"type": "integer", "allOf": [{"multipleOf": 4}, {"multipleOf": 10}]}, [0, 20, -40], [4, 10]),
    "bounds_without_type": ({"minimum": 3, "minLength": 2}, [3, "ab", None, []], [2, "a"]),
    "recursion": (_TREE, [{"v": 1}, {"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3}]}], [{"v": "x"}, {"kids": []}]),
    "recursion_through_any_of": (
        {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"$ref": "#"}}]}, [1, [[], [1, [2]]]], ["x", [None]],
    ),
    "reference_with_siblings": (
        {"$defs": {"a": {"type": "integer"}}, "$ref": "#/$defs/a", "minimum": 3}, [3], [2, "x"],
    ),
    "anchor": ({"$defs": {"a": {"$anchor": "here", "type": "null"}}, "items": {"$ref": "#here"}}, [[None], 3], [[1]]),
    "embedded_id": (
        {"$id": "https://example.org/a", "properties": {"x": {"$ref": "b#/$defs/n"}},
         "$defs": {"b": {"$id": "b", "$defs": {"n": {"type": "integer"}}}}},
        [{"x": 1}],
        [{"x": "1"}],
    ),
    "draft4_bounds": (
        {**_DRAFT4, "type": "integer", "minimum": 3, "exclusiveMinimum": True, "maximum": 9}, [4, 9], [3, 10],
    ),
    "draft4_definitions": (
        {**_DRAFT4, "definitions": {"a": {"id": "#a", "type": "string"}}, "items": {"$ref": "#a"}}, [["x"]], [[1]],
    ),
    "draft7_tuple": (
        {**_DRAFT7, "items": [{"type": "integer"}, {"type": "string"}], "additionalItems": {"type": "null"}},
        [[], [1, "x", None]],
        [["x"], [1, "x", 2]],
    ),
    "draft7_dependencies": (
        {**_DRAFT7, "type": "object", "dependencies": {"a": ["b"], "c": {"required": ["d"]}}},
        [{}, {"a": 1, "b": 1}, {"c": 1, "d": 1}],
        [{"a": 1}, {"c": 1}],
    ),
    "draft7_reference_hides_siblings": (
        {**_DRAFT7, "definitions": {"a": {"type": "integer"}}, "items": {"$ref": "#/definitions/a", "minimum": 3}},
        [[1]],
        [["x"]],
    ),
    "draft4_spelling_without_schema": ({"type": "integer", "maximum": 3, "exclusiveMaximum": True}, [2], [3]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
class TestKeyword:
    """One case a keyword."""

    def test_valid_instances_can_be_generated(self, name: str) -> None:
        """Their canonical text is in the grammar."""
        schema, valid, _ = CASES[name]
        case = SchemaCase(schema, UndeclaredProperties.AS_WRITTEN)

        for value in valid:
            assert case.is_valid(value), "the library says otherwise"
            assert case.spelled(value) is not None, value

    def test_invalid_instances_are_refused(self, name: str) -> None:
        """The check of finished texts says so."""
        schema, _, invalid = CASES[name]
        case = SchemaCase(schema, UndeclaredProperties.AS_WRITTEN)

        for value in invalid:
            assert not case.is_valid(value), "the library says otherwise"
            assert case.spelled(value) is None, value

    @pytest.mark.parametrize("undeclared", UndeclaredProperties)
    def test_whatever_is_derived_is_valid(self, name: str, undeclared: UndeclaredProperties) -> None:
        """Every keyword here is held by the grammar, with undeclared properties or without."""
        case = SchemaCase(CASES[name][0], undeclared)

        assert case.is_certain
        assert case.check_derivations(random.Random(name), 30) >= 5
