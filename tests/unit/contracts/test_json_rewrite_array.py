"""uniqueItems, contains, prefixItems and unevaluatedItems, rewritten to lists: against the `jsonschema` library."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.contracts.json_rewrite import PER_EXAMPLE, Family, FamilyChecks, RewriteCase, arrays, case_of

Json = Any  # JSON values
Schema = dict[str, Json]

_ARRAYS = arrays([0, 1, 3, "a", None], 3)
_DRAFT7 = "http://json-schema.org/draft-07/schema#"


def _pool(schema: Schema) -> tuple[Json, ...]:
    return _ARRAYS


def _arrays_with(required: dict[str, st.SearchStrategy[Json]], **optional: st.SearchStrategy[Json]) -> Any:
    return st.fixed_dictionaries({"type": st.just("array"), **required}, optional=optional)


_SIZES = {"minItems": st.integers(0, 3), "maxItems": st.integers(0, 3)}
_PARTS: st.SearchStrategy[Json] = st.sampled_from([
    {"type": "integer"}, {"type": "string"}, {"minimum": 1}, {"const": 1.0}, {"enum": ["a", 3]}, True,
    {"not": {"type": "null"}}, {"type": "integer", "maximum": 1},
])  # fmt: skip
_PREFIX = st.lists(_PARTS, min_size=1, max_size=3)
_VALUE = st.sampled_from([0, 1, 3, 1.0, "a", None, "b", 7])


def _counts_contained(schema: Schema) -> bool:
    """The grammar holds one contained item, or none: any other number is checked, and so it is beside prefixItems."""
    least, most = schema.get("minContains", 1), schema.get("maxContains")
    if most is not None and most < least:
        return False  # nothing to hold: no array satisfies it
    if most == 0 or (least == 0 and most is None):
        return False
    return least > 1 or most is not None or "prefixItems" in schema


def _unique_over_strings(schema: Schema) -> tuple[Json, ...]:
    return arrays(["a", "ab", "b", ""], 4)


FAMILIES = {
    "unique_items_over_enum": Family(
        _arrays_with(
            {"items": st.fixed_dictionaries({"enum": st.lists(_VALUE, min_size=1, max_size=5)})},
            uniqueItems=st.just(True), **_SIZES,
        ), _pool),
    "unique_items_over_const": Family(
        _arrays_with({"items": st.fixed_dictionaries({"const": _VALUE}), "uniqueItems": st.just(True)}, **_SIZES),
        _pool),
    "unique_items_over_integers": Family(
        _arrays_with(
            {"items": st.fixed_dictionaries({"type": st.just("integer"), "minimum": st.integers(-1, 1),
                                             "maximum": st.integers(1, 4)}),
             "uniqueItems": st.just(True)}, **_SIZES,
        ), _pool),
    "unique_items_over_alternatives": Family(
        _arrays_with(
            {"items": st.fixed_dictionaries({"anyOf": st.lists(
                st.sampled_from([{"const": 1}, {"enum": [1.0, 3]}, {"type": "integer", "minimum": 0, "maximum": 1},
                                 {"type": "null"}, {"const": "a"}]), min_size=1, max_size=3)}),
             "uniqueItems": st.just(True)}, **_SIZES,
        ), _pool),
    "unique_items_over_many": Family(
        _arrays_with({"items": st.sampled_from([{"type": "string", "pattern": "^[ab]*$"}, {"type": "string"},
                                                {"enum": ["", "a", "b", "ab", *"cdefghij"]}]),
                      "uniqueItems": st.just(True)}, **_SIZES), _unique_over_strings),
    "contains": Family(_arrays_with({"contains": _PARTS}, items=_PARTS, **_SIZES), _pool),
    "contains_counted": Family(
        _arrays_with({"contains": _PARTS}, minContains=st.integers(0, 2), maxContains=st.integers(0, 2)), _pool,
        _counts_contained),
    "contains_beside_prefix": Family(
        _arrays_with({"contains": _PARTS, "prefixItems": _PREFIX}), _pool, lambda schema: True),
    "not_contains": Family(
        _arrays_with({"not": st.fixed_dictionaries({"contains": _PARTS})}, items=_PARTS, **_SIZES), _pool),
    "not_items": Family(_arrays_with({"not": st.fixed_dictionaries({"items": _PARTS})}, **_SIZES), _pool),
    "not_prefix_items": Family(
        _arrays_with({"not": st.fixed_dictionaries({"prefixItems": _PREFIX})}, **_SIZES), _pool),
    "prefix_items": Family(_arrays_with({"prefixItems": _PREFIX}, items=_PARTS | st.just(False), **_SIZES), _pool),
    "items_of_draft_07": Family(
        _arrays_with({"$schema": st.just(_DRAFT7), "items": _PREFIX}, additionalItems=_PARTS | st.just(False),
                     **_SIZES),
        _pool),
    "contains_of_draft_07": Family(  # which knows no minContains and no maxContains
        _arrays_with({"$schema": st.just(_DRAFT7), "contains": _PARTS}, minContains=st.integers(0, 2),
                     maxContains=st.integers(0, 2)), _pool),
    "all_of_prefix_items": Family(
        _arrays_with({"allOf": st.lists(st.fixed_dictionaries({}, optional={"prefixItems": _PREFIX, "items": _PARTS}),
                                        min_size=2, max_size=2)}, **_SIZES), _pool),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
class TestRewriteOfArrays(FamilyChecks):
    """One family for each rewrite, named after it."""


class TestUniqueItems:
    """`uniqueItems` over a list of values."""

    @PER_EXAMPLE
    @given(values=st.lists(st.sampled_from(["a", "b", 1, None, 2.5]), min_size=1, max_size=4, unique_by=str))
    def test_every_permutation_of_every_subset_and_no_other_list(self, values: list[Json]) -> None:
        """The lists without a repeated value, all of them, up to one item more than there are values."""
        case = RewriteCase({"type": "array", "items": {"enum": values}, "uniqueItems": True})
        distinct = [list(p) for count in range(len(values) + 1) for p in permutations(values, count)]

        found = [items for items in arrays(values, len(values) + 1) if case.is_generated(items)]

        assert case.is_certain
        assert sorted(map(str, found)) == sorted(map(str, distinct))

    @PER_EXAMPLE
    @given(least=st.integers(0, 5), values=st.sets(st.sampled_from("abcd"), min_size=1))
    def test_more_items_than_values_are_refused(self, least: int, values: set[str]) -> None:
        """A list that must be longer than it can be has no value: that is said at registration."""
        items = {"enum": sorted(values)}
        case = case_of({"type": "array", "items": items, "uniqueItems": True, "minItems": least}, _ARRAYS)

        assert (case is None) == (least > len(values))


_SEEN: st.SearchStrategy[Schema] = st.sampled_from([
    {"prefixItems": [{"type": "integer"}]}, {"prefixItems": [True, {"type": "string"}]}, {"items": {"type": "integer"}},
    {"type": "array", "maxItems": 2}, {"prefixItems": [{"const": 1}, True]}, {"minItems": 1},
])  # fmt: skip
_UNEVALUATED = st.sampled_from([False, {"type": "string"}, {"const": 3}])
_AROUND = st.one_of(
    _SEEN,
    st.fixed_dictionaries({"allOf": st.lists(_SEEN, min_size=1, max_size=2)}),
    st.fixed_dictionaries({"anyOf": st.lists(_SEEN, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"oneOf": st.lists(_SEEN, min_size=1, max_size=2)}),
    st.fixed_dictionaries({"if": _SEEN}, optional={"then": _SEEN, "else": _SEEN}),
    _SEEN.map(lambda seen: {"$defs": {"d": seen}, "$ref": "#/$defs/d"}),
    _SEEN.map(lambda seen: {"not": {"not": seen}}),
)


def _denies_items_beside_prefix(schema: Schema) -> bool:
    """A branch of oneOf that excludes `items` asks for an item that breaks it: beside prefixItems that is checked."""
    branches = schema.get("oneOf", [])
    return any("items" in branch for branch in branches) and any("prefixItems" in branch for branch in branches)


UNEVALUATED = Family(
    st.tuples(_AROUND, _UNEVALUATED).map(lambda two: {"type": "array", **two[0], "unevaluatedItems": two[1]}),
    _pool,
    _denies_items_beside_prefix,
)


class TestUnevaluatedItems(FamilyChecks):
    """`unevaluatedItems` as the items behind what other keywords see."""

    @pytest.fixture
    def family(self) -> Family:
        """The schemas of this class."""
        return UNEVALUATED

    @PER_EXAMPLE
    @given(contained=_PARTS.filter(lambda part: part is not True), data=st.data())
    def test_beside_contains_it_is_checked(self, contained: Json, data: st.DataObject) -> None:
        """Which items `contains` has seen depends on their values: that is left to the finished text, and said."""
        schema = {"type": "array", "contains": contained, "unevaluatedItems": False}
        Family(st.just(schema), _pool, lambda schema: True).check_values(data)
