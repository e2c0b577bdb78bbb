"""allOf, anyOf, oneOf, not and if, rewritten to conjunctions and alternatives: against the `jsonschema` library."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.json_schema.affirmation import one_of
from shared.contracts.json_schema.contract import read_contract
from shared.contracts.json_schema.fact import Demand
from shared.contracts.json_schema.keyword_reader import Entry
from shared.contracts.spec import UndeclaredProperties
from tests.unit.contracts.json_rewrite import (
    MIXED,
    PER_EXAMPLE,
    SCALARS,
    Family,
    FamilyChecks,
    RewriteCase,
    case_of,
    seeded,
)

Json = Any  # JSON values

# Of each of these the grammar holds the schema and its negation.
PARTS: st.SearchStrategy[Json] = st.sampled_from([
    {"type": "integer"}, {"minimum": 2}, {"exclusiveMaximum": 3}, {"type": "string"}, {"minLength": 2},
    {"maxLength": 1}, {"pattern": "^a"}, {"enum": [1, "a", None]}, {"const": "ab"}, {"const": 2.0},
    {"type": ["null", "string"]}, {"type": ["integer", "object"]}, {"required": ["a"]}, {"maxProperties": 1},
    {"properties": {"a": {"type": "integer"}}}, {"minItems": 1}, {"type": "object", "required": ["a", "b"]},
    {"type": "string", "maxLength": 2}, {"type": "number", "minimum": 1, "maximum": 3}, True, {"not": {"const": 1}},
])  # fmt: skip
_SOME = st.lists(PARTS, min_size=1, max_size=3)


def _pool(schema: Json) -> tuple[Json, ...]:
    return MIXED


def _scalar_pool(schema: Json) -> tuple[Json, ...]:
    return SCALARS


def _conditions() -> st.SearchStrategy[Json]:
    branches = st.fixed_dictionaries({"if": PARTS}, optional={"then": PARTS, "else": PARTS})
    return branches.filter(lambda schema: len(schema) > 1)


# What has no integer in it and yet is an integer: the overlaps of these are told by the single value.
_NUMBERS = st.sampled_from([
    {"type": "integer", "maximum": 1}, {"type": "number", "minimum": 2}, {"type": "string"}, {"const": 1},
    {"enum": [2, "a", "b"]}, {"type": "integer", "minimum": 0, "maximum": 4}, {"type": "null"}, {"minLength": 2},
])  # fmt: skip

FAMILIES = {
    "all_of": Family(st.fixed_dictionaries({"allOf": _SOME}), _pool),
    "all_of_beside_keywords": Family(
        st.tuples(_SOME, PARTS.filter(lambda part: part is not True)).map(lambda two: {"allOf": two[0], **two[1]}),
        _pool,
    ),
    "any_of": Family(st.fixed_dictionaries({"anyOf": _SOME}), _pool),
    "one_of": Family(st.fixed_dictionaries({"oneOf": _SOME}), _pool),
    "one_of_overlapping_scalars": Family(
        st.fixed_dictionaries({"oneOf": st.lists(_NUMBERS, min_size=2, max_size=3)}), _scalar_pool
    ),
    "not": Family(st.fixed_dictionaries({"not": PARTS}), _pool),
    "not_all_of": Family(st.fixed_dictionaries({"not": st.fixed_dictionaries({"allOf": _SOME})}), _pool),
    "not_any_of": Family(st.fixed_dictionaries({"not": st.fixed_dictionaries({"anyOf": _SOME})}), _pool),
    "not_one_of": Family(st.fixed_dictionaries({"not": st.fixed_dictionaries({"oneOf": _SOME})}), _pool),
    "not_not": Family(st.fixed_dictionaries({"not": st.fixed_dictionaries({"not": PARTS})}), _pool),
    "if_then_else": Family(_conditions(), _pool),
    "not_if_then_else": Family(st.fixed_dictionaries({"not": _conditions()}), _pool),
}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
class TestRewriteOfChoices(FamilyChecks):
    """One family for each rewrite, named after it."""


_BRANCHES = st.sampled_from([
    {"type": "string", "maxLength": 2}, {"type": "integer", "minimum": 1}, {"type": "integer", "maximum": 0},
    {"type": "null"}, {"type": "array", "maxItems": 1}, {"type": "boolean"},
    {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
    {"type": "object", "properties": {"a": False}, "minProperties": 1}, {"type": "object", "maxProperties": 0},
])  # fmt: skip


class TestOneOfToAnyOf:
    """`oneOf` whose branches have no value in common."""

    @PER_EXAMPLE
    @given(parts=st.lists(_BRANCHES, min_size=1, max_size=4, unique_by=str))
    def test_disjoint_branches_are_alternatives(self, parts: list[Json]) -> None:
        """The grammar is that of anyOf, rule for rule: nothing is excluded that was excluded already."""
        one, any_ = (
            read_contract(RewriteCase({keyword: parts}).spec.json_schema, UndeclaredProperties.AS_WRITTEN).grammar
            for keyword in ("oneOf", "anyOf")
        )

        assert one == any_

    @PER_EXAMPLE
    @given(data=st.data())
    def test_one_of_two_equal_branches_is_none(self, data: st.DataObject) -> None:
        """A value of both branches satisfies neither; what is left decides."""
        twice, other = data.draw(PARTS), data.draw(PARTS)
        schema = {"oneOf": [twice, twice, other]}
        case = case_of(schema, MIXED)
        if case is not None:
            for value in MIXED:
                case.check(value)

    @PER_EXAMPLE
    @given(sets=st.lists(st.frozensets(st.integers(0, 5)), min_size=1, max_size=4))
    def test_exactly_one_branch_holds(self, sets: list[frozenset[int]]) -> None:
        """Over sets in place of schemas: an option of the fork is met iff the value is in exactly one of them."""
        inside = {f"/oneOf/{index}": members for index, members in enumerate(sets)}
        entry = Entry("oneOf", {"oneOf": list(sets)}, "")

        fork = one_of(entry, lambda one, other: inside[one.place].isdisjoint(inside[other.place]))

        for value in range(6):
            met = [
                all(isinstance(step, Demand) and (value in inside[step.place]) == step.holds for step in option)
                for option in fork.options
            ]
            assert any(met) == (sum(value in members for members in sets) == 1)

    def test_only_overlapping_branches_are_excluded(self) -> None:
        """Of disjoint branches nothing is denied: that is what keeps the automaton small."""
        parts = ["a", "b", "c"]
        entry = Entry("oneOf", {"oneOf": parts}, "")
        overlap = {"/oneOf/0", "/oneOf/2"}

        fork = one_of(entry, lambda one, other: {one.place, other.place} != overlap)

        denied = [
            {step.place for step in option if isinstance(step, Demand) and not step.holds} for option in fork.options
        ]
        assert denied == [{"/oneOf/2"}, set(), {"/oneOf/0"}]


class TestAllOfMerge:
    """`allOf` and the same keywords in one schema."""

    @PER_EXAMPLE
    @given(parts=st.lists(PARTS.filter(lambda part: part is not True), min_size=2, max_size=4))
    def test_keywords_of_different_names_merge(self, parts: list[Json]) -> None:
        """Parts that share no keyword say together what one schema with all their keywords says."""
        if any(one.keys() & other.keys() for one, other in combinations(parts, 2)):
            parts = parts[:1]
        merged = {key: value for part in parts for key, value in part.items()}
        case, flat = case_of({"allOf": parts}, MIXED), case_of(merged, MIXED)

        assert (case is None) == (flat is None)
        for value in MIXED if case and flat else ():
            assert case.is_generated(value) == flat.is_generated(value)

    def test_the_order_of_parts_does_not_matter(self) -> None:
        """The same values, whichever part stands first."""
        parts = [{"type": "integer"}, {"minimum": 2}, {"not": {"const": 3}}]
        first, last = RewriteCase({"allOf": parts}), RewriteCase({"allOf": parts[::-1]})

        assert [first.is_generated(v) for v in MIXED] == [last.is_generated(v) for v in MIXED]
        assert first.check_derivations(seeded("order"), 20) == 20
