"""Keywords about members, rewritten to members by name: against the `jsonschema` library."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.grammar.expression import NOTHING, Expression, Text
from shared.contracts.grammar.machine import Machine
from shared.contracts.json_schema.member import MemberList
from tests.unit.contracts.json_rewrite import PER_EXAMPLE, Family, FamilyChecks, objects

Json = Any  # JSON values
Schema = dict[str, Json]

_DRAFT7 = "http://json-schema.org/draft-07/schema#"
_OBJECTS = objects("abc", [1, "x", None])
_NAMED = objects(["a", "ab", "b1", "x-1", ""], [1, "x"])


def _pool(schema: Schema) -> tuple[Json, ...]:
    return _OBJECTS


def _named_pool(schema: Schema) -> tuple[Json, ...]:
    return _NAMED


def _objects_with(always: dict[str, st.SearchStrategy[Json]], /, **optional: st.SearchStrategy[Json]) -> Any:
    return st.fixed_dictionaries({"type": st.just("object"), **always}, optional=optional)


_NAMES = st.sampled_from("abc")
_SOME_NAMES = st.lists(_NAMES, max_size=2, unique=True)
_VALUES = st.sampled_from(
    [{"type": "integer"}, {"type": "string"}, {"const": 1.0}, {"not": {"type": "null"}}, True, False]
)
_SCHEMAS: st.SearchStrategy[Json] = st.one_of(
    _SOME_NAMES.map(lambda names: {"required": names}),
    st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=2).map(lambda named: {"properties": named}),
    st.sampled_from([{"maxProperties": 1}, {"minProperties": 2}, {"maxProperties": 2, "required": ["b"]}, False,
                     {"not": {"required": ["c"]}}, {"propertyNames": {"enum": ["a", "b"]}}]),
)  # fmt: skip
_SIZES = {"minProperties": st.integers(0, 3), "maxProperties": st.integers(0, 3)}
_PATTERNS = st.sampled_from(["^a", "b", "1$", "^x-", "^[a-b]{1,2}$", "^$"])
_MEMBER = st.sampled_from([{"type": "integer"}, {"type": "string"}, True, False])
_PROPERTIES = st.dictionaries(st.sampled_from(["a", "ab", "x-1"]), _MEMBER, min_size=1, max_size=2)
_BY_PATTERN = st.dictionaries(_PATTERNS, _MEMBER, min_size=1, max_size=3)

FAMILIES = {
    "required": Family(_objects_with({"required": _SOME_NAMES}, **_SIZES), _pool),
    "sizes": Family(
        _objects_with({}, properties=st.dictionaries(_NAMES, _VALUES, max_size=3), required=_SOME_NAMES,
                      additionalProperties=st.just(False), **_SIZES), _pool),
    "not_sizes": Family(_objects_with({"not": st.one_of(
        st.integers(1, 3).map(lambda size: {"minProperties": size}),
        st.integers(0, 2).map(lambda size: {"maxProperties": size}))}, required=_SOME_NAMES), _pool),
    "dependent_required": Family(
        _objects_with({"dependentRequired": st.dictionaries(_NAMES, _SOME_NAMES, min_size=1, max_size=3)}, **_SIZES),
        _pool),
    "not_dependent_required": Family(_objects_with(
        {"not": st.fixed_dictionaries(
            {"dependentRequired": st.dictionaries(_NAMES, _SOME_NAMES, min_size=1, max_size=2)})}), _pool),
    "dependent_schemas": Family(
        _objects_with({"dependentSchemas": st.dictionaries(_NAMES, _SCHEMAS, min_size=1, max_size=2)}, **_SIZES),
        _pool),
    "dependencies_of_draft_07": Family(
        _objects_with({"$schema": st.just(_DRAFT7),
                       "dependencies": st.dictionaries(_NAMES, _SCHEMAS | _SOME_NAMES, min_size=1, max_size=2)}),
        _pool),
    "not_required": Family(
        _objects_with({"not": st.fixed_dictionaries({"required": st.lists(_NAMES, min_size=1, unique=True)})},
                      minProperties=st.integers(0, 2)), _pool),
    "not_properties": Family(
        _objects_with({"not": st.fixed_dictionaries(
            {"properties": st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=3)})}), _pool),
    "property_names": Family(
        _objects_with({"propertyNames": st.sampled_from([
            {"pattern": "^a"}, {"enum": ["a", "x-1", 3]}, {"maxLength": 1}, {"const": "ab"}, {"not": {"const": "a"}},
            {"minLength": 1, "pattern": "1$"}, {"type": "string"}, {"type": "integer"}, True, False,
            {"anyOf": [{"maxLength": 0}, {"pattern": "b"}]}, {"not": {"pattern": "^a"}}, {"minimum": 3}])},
            properties=_PROPERTIES, required=st.just(["a"]), additionalProperties=_MEMBER, **_SIZES), _named_pool),
    "pattern_properties": Family(_objects_with({"patternProperties": _BY_PATTERN}, **_SIZES), _named_pool),
    "pattern_properties_beside_others": Family(
        _objects_with({"patternProperties": _BY_PATTERN, "properties": _PROPERTIES}, additionalProperties=_MEMBER,
                      required=st.just(["ab"])), _named_pool),
    "pattern_properties_in_all_of": Family(
        _objects_with({"allOf": st.lists(st.fixed_dictionaries(
            {"patternProperties": _BY_PATTERN}, optional={"additionalProperties": _MEMBER}),
            min_size=2, max_size=2)}),
        _named_pool),
    "additional_properties": Family(
        _objects_with({"additionalProperties": _MEMBER}, properties=_PROPERTIES, **_SIZES), _named_pool),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
class TestRewriteOfMembers(FamilyChecks):
    """One family for each rewrite, named after it."""


_DENIABLE = st.one_of(
    st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=2).map(lambda named: {"properties": named}),
    st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=1).map(
        lambda named: {"properties": named, "required": list(named)}
    ),
    st.sampled_from([{"required": ["a"]}, {"maxProperties": 2}]),
)
_BY_PATTERN_ONLY: list[Schema] = [
    {"patternProperties": {"^[ab]$": {"type": "integer"}}},
    {"properties": {"b": True}, "additionalProperties": {"type": "string"}},
]
_SEEN = _DENIABLE | st.sampled_from(_BY_PATTERN_ONLY)
_AROUND = st.one_of(
    _SEEN,
    st.fixed_dictionaries({"allOf": st.lists(_SEEN, min_size=1, max_size=2)}),
    st.fixed_dictionaries({"anyOf": st.lists(_SEEN, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"oneOf": st.lists(_DENIABLE, min_size=1, max_size=2)}),
    st.fixed_dictionaries({"if": _DENIABLE}, optional={"then": _SEEN, "else": _SEEN}),
    _SEEN.map(lambda seen: {"$defs": {"d": seen}, "$ref": "#/$defs/d"}),
    _SEEN.map(lambda seen: {"dependentSchemas": {"a": seen}}),
    _SEEN.map(lambda seen: {"not": {"not": seen}}),
    st.tuples(_SEEN, _SEEN).map(lambda two: {**two[0], "anyOf": [two[1], {"properties": {"c": {"const": 1}}}]}),
)
UNEVALUATED = Family(
    st.tuples(_AROUND, st.sampled_from([False, {"type": "string"}, {"const": 1}])).map(
        lambda two: {"type": "object", **two[0], "unevaluatedProperties": two[1]}
    ),
    _pool,
)


class TestUnevaluatedProperties(FamilyChecks):
    """`unevaluatedProperties` as a schema that declares all names which others see."""

    @pytest.fixture
    def family(self) -> Family:
        """The schemas of this class."""
        return UNEVALUATED

    @PER_EXAMPLE
    @given(part=st.sampled_from(_BY_PATTERN_ONLY), data=st.data())
    def test_a_condition_on_names_by_pattern_is_checked(self, part: Schema, data: st.DataObject) -> None:
        """Its negation asks for a member that breaks it, of any name: that is left to the finished text, and said."""
        schema = {
            "type": "object",
            "if": part,
            "else": {"maxProperties": 2},
            "unevaluatedProperties": {"type": "string"},
        }
        Family(st.just(schema), _pool, lambda schema: True).check_values(data)


def _inlined(name: str, expression: Expression) -> Any:  # an expression in place of a reference to its rule
    return expression


class TestMemberList:
    """Members in their order, as a language over commas."""

    @PER_EXAMPLE
    @given(
        required=st.lists(st.booleans(), max_size=4),
        is_open=st.booleans(),
        least=st.integers(0, 4),
        more=st.none() | st.integers(0, 3),
    )
    def test_holds_every_choice_of_the_allowed_size(
        self, required: list[bool], is_open: bool, least: int, more: int | None
    ) -> None:
        """All required members, any of the others in their order, then undeclared ones: least to most in all."""
        names = "abcd"[: len(required)]
        most = None if more is None else least + more
        members = [(Text(name), needed) for name, needed in zip(names, required, strict=True)]
        extras = Text("x") if is_open else NOTHING

        found = MemberList(members, extras, least, most, _inlined).expression()

        assert found is not None
        machine = Machine.of(found)
        for bits in range(2 ** len(names)):
            chosen = [name for index, name in enumerate(names) if bits >> index & 1]
            for undeclared in range(4):
                text = ",".join([*chosen, *"x" * undeclared])
                size = len(chosen) + undeclared
                valid = least <= size and (most is None or size <= most) and (is_open or not undeclared)
                valid &= all(name in chosen for name, needed in zip(names, required, strict=True) if needed)
                assert machine.accepts(text) == valid, text
