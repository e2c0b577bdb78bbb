"""Schemas and values that nobody thought of: the compiler against the `jsonschema` library."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from shared.contracts.spec import UndeclaredProperties
from shared.errors import InvalidInput
from tests.unit.contracts.json_oracle import SchemaCase

Json = Any  # JSON values

_NAMES = st.sampled_from(["a", "b", "ab", "x-1", ""])
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-6, 12), st.sampled_from([0.5, -1.25, 2.75]),
    st.sampled_from(["", "a", "ab", "abc", "x-1", "é\n"]),
)  # fmt: skip
VALUES: st.SearchStrategy[Json] = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=3)),
    max_leaves=6,
)
_TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
_PATTERNS = st.sampled_from(["^a", "b$", "^x-", "^[a-c]{1,2}$", "1"])
_SIZES = st.integers(0, 3)


def _keywords(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    """A schema of a few keywords, each with a plausible value."""
    some = st.lists(inner, min_size=1, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.one_of(_TYPES, st.lists(_TYPES, min_size=1, max_size=3, unique=True)),
            "enum": st.lists(_SCALARS, min_size=1, max_size=4),
            "const": VALUES,
            "minimum": st.integers(-5, 5), "exclusiveMaximum": st.integers(-2, 9),
            "multipleOf": st.sampled_from([1, 2, 0.5]),
            "minLength": _SIZES, "maxLength": st.integers(1, 4), "pattern": _PATTERNS,
            "items": inner, "prefixItems": some, "minItems": _SIZES, "maxItems": _SIZES,
            "contains": inner, "uniqueItems": st.booleans(),
            "properties": st.dictionaries(_NAMES, inner, max_size=3),
            "patternProperties": st.dictionaries(_PATTERNS, inner, max_size=2),
            "additionalProperties": inner, "propertyNames": inner,
            "required": st.lists(_NAMES, max_size=2, unique=True), "minProperties": _SIZES, "maxProperties": _SIZES,
            "dependentRequired": st.dictionaries(_NAMES, st.lists(_NAMES, max_size=2, unique=True), max_size=2),
            "dependentSchemas": st.dictionaries(_NAMES, inner, max_size=1),
            "unevaluatedProperties": inner, "unevaluatedItems": inner,
            "allOf": some, "anyOf": some, "oneOf": some, "not": inner, "if": inner, "then": inner, "else": inner,
            "$ref": st.sampled_from(["#", "#/$defs/d"]),
        },
    )  # fmt: skip


def _small(schema: Json) -> Json:
    """At most four keywords of each schema: more contradict each other."""
    if not isinstance(schema, dict):
        return schema
    return dict(list(schema.items())[-4:])


SCHEMAS = _keywords(st.recursive(st.booleans(), lambda inner: _keywords(inner).map(_small), max_leaves=4)).map(_small)


def _case(schema: Json, definition: Json) -> SchemaCase:
    try:
        return SchemaCase({"$defs": {"d": definition}, **schema}, UndeclaredProperties.AS_WRITTEN)
    except InvalidInput:
        assume(False)
        raise


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
class TestProperty:
    """Over generated schemas of every keyword."""

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(schema=SCHEMAS, definition=SCHEMAS, value=VALUES)
    def test_a_value_has_a_text_exactly_when_it_is_valid(self, schema: Json, definition: Json, value: Json) -> None:
        """Nothing valid is lost, nothing invalid is spelled."""
        case = _case(schema, definition)

        assert (case.spelled(value) is not None) == case.is_valid(value)

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(schema=SCHEMAS, definition=SCHEMAS, seed=st.integers(0, 2**32))
    def test_whatever_the_grammar_derives_is_valid(self, schema: Json, definition: Json, seed: int) -> None:
        """A certain contract derives valid texts only; of a sound one the check tells them apart."""
        _case(schema, definition).check_derivations(random.Random(seed), 5)
