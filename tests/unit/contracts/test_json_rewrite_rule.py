"""The rule of each keyword, called by itself: its steps, read literally, against the `jsonschema` library."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.json_schema.affirmation import Affirmation
from shared.contracts.json_schema.denial import Denial
from shared.contracts.json_schema.dialect import dialect_of
from shared.contracts.json_schema.document import Document
from shared.contracts.json_schema.fact import (
    Contains,
    Demand,
    Fork,
    Items,
    Length,
    Limit,
    Loose,
    Member,
    Multiple,
    Names,
    Pattern,
    Presence,
    Scope,
    Step,
    Unique,
    Values,
)
from shared.contracts.json_schema.keyword_reader import KeywordReader
from shared.contracts.json_schema.validity import SchemaValidator
from shared.contracts.json_schema.value import kind_of, same_value
from tests.unit.contracts.json_rewrite import MIXED, PER_EXAMPLE, arrays, objects

Json = Any  # JSON values
Schema = dict[str, Json]

_VALUES = (*MIXED, *arrays([1, "a", 2], 3), *objects("ab", [1, "x"]), -7, 12, 0.25, 1e3)


class Reading:
    """What steps mean: every demand in the opinion of the library, every fact as its docstring says."""

    def __init__(self, schema: Schema) -> None:
        self.document = Document(schema, dialect_of(schema))
        self.library = SchemaValidator(self.document)

    def steps(self, kind: str, *, holds: bool) -> list[Step] | None:
        """The rule's own answer for values of one type."""
        reader = KeywordReader(self.document, kind, lambda place, keyword: "/$defs/d")
        affirmation = Affirmation(reader, lambda one, other: False)
        return affirmation.steps("", frozenset()) if holds else Denial(reader).steps("")

    def meets(self, step: Step, value: Json) -> bool:
        """Whether a value of the step's type meets it."""
        match step:
            case Demand(place, holds):
                return self.library.meets(value, place) == holds
            case Fork(options=options):
                return any(all(self.meets(one, value) for one in option) for option in options)
            case Values(values=values, holds=holds):
                return any(same_value(one, value) for one in values) == holds
            case Loose():
                return True
            case Length(least=least, most=most):
                return least <= len(value) and (most is None or len(value) <= most)
        return {"array": self._meets_array, "object": self._meets_object}.get(kind_of(value), _meets_scalar)(
            step, value
        )

    def _meets_array(self, fact: Step, value: Json) -> bool:
        match fact:
            case Unique(holds=holds):
                repeats = any(same_value(a, b) for i, a in enumerate(value) for b in value[:i])
                return repeats != holds
            case Items(prefix=prefix, rest=rest):
                wanted = [*prefix, *[rest] * (len(value) - len(prefix))]
                return all(one is None or self.meets(one, item) for one, item in zip(wanted, value, strict=False))
            case Contains(demand=demand, least=least, most=most):
                count = sum(self.meets(demand, item) for item in value)
                return least <= count and (most is None or count <= most)
        raise AssertionError(f"not about arrays: {fact}")

    def _meets_object(self, fact: Step, value: Json) -> bool:
        match fact:
            case Presence(name=name, holds=holds):
                return (name in value) == holds
            case Member(name=name, demand=demand):
                return name not in value or self.meets(demand, value[name])
            case Names(demand=demand):
                return all(self.meets(demand, name) for name in value)
            case Scope():
                return all(self._meets_scope(fact, name, item) for name, item in value.items())
        raise AssertionError(f"not about objects: {fact}")

    def _meets_scope(self, scope: Scope, name: str, value: Json) -> bool:
        known = [demand for other, demand in scope.properties if other == name]
        known += [demand for source, demand in scope.patterns if _is_found(source, name)]
        return all(one is None or self.meets(one, value) for one in known or [scope.extra])


def _meets_scalar(fact: Step, value: Json) -> bool:
    match fact:
        case Limit(bound=bound, is_lower=is_lower):
            exact = Fraction(str(value))
            is_inside = exact > bound.value if is_lower else exact < bound.value
            return is_inside or (exact == bound.value and not bound.exclusive)
        case Multiple(step=step, holds=holds):
            return ((Fraction(str(value)) / step).denominator == 1) == holds
        case Pattern(source=source, holds=holds):
            return _is_found(source, value) == holds
    raise AssertionError(f"not about scalars: {fact}")


def _is_found(source: str, text: str) -> bool:
    """For the patterns here: letters, at the beginning or anywhere."""
    return text.startswith(source[1:]) if source.startswith("^") else source in text


def _is_loose(step: Step) -> bool:
    return isinstance(step, Loose) or (
        isinstance(step, Fork) and any(_is_loose(one) for option in step.options for one in option)
    )


_PART: st.SearchStrategy[Json] = st.sampled_from([
    {"type": "integer"}, {"const": "a"}, {"minimum": 2}, {"maxLength": 1}, True, False, {"required": ["a"]},
    {"enum": [1, "ab", {"a": 1}]}, {"maxItems": 1}, {"type": ["string", "null"]},
])  # fmt: skip
_PARTS = st.lists(_PART, min_size=1, max_size=3)
_NAMED = st.dictionaries(st.sampled_from("abc"), _PART, min_size=1, max_size=2)
_NAMES = st.lists(st.sampled_from("abc"), max_size=2, unique=True)
_SIZE = st.integers(0, 3)
_TYPE = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
_NUMBER = st.sampled_from([-1, 0, 1, 2, 2.5, 3])

RULES: dict[str, st.SearchStrategy[Schema]] = {
    "type": st.fixed_dictionaries({"type": _TYPE | st.lists(_TYPE, min_size=1, max_size=3, unique=True)}),
    "enum": st.fixed_dictionaries({"enum": st.lists(st.sampled_from(MIXED), min_size=1, max_size=4)}),
    "const": st.fixed_dictionaries({"const": st.sampled_from(MIXED)}),
    **{limit: st.fixed_dictionaries({limit: _NUMBER})
       for limit in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")},
    "multipleOf": st.fixed_dictionaries({"multipleOf": st.sampled_from([1, 2, 0.5, 3, 0.25])}),
    **{size: st.fixed_dictionaries({size: _SIZE})
       for size in ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")},
    "pattern": st.fixed_dictionaries({"pattern": st.sampled_from(["^a", "b", "ab"])}),
    "allOf": st.fixed_dictionaries({"allOf": _PARTS}),
    "anyOf": st.fixed_dictionaries({"anyOf": _PARTS}),
    "oneOf": st.fixed_dictionaries({"oneOf": _PARTS}),
    "not": st.fixed_dictionaries({"not": _PART}),
    "if": st.fixed_dictionaries({"if": _PART}, optional={"then": _PART, "else": _PART}),
    "required": st.fixed_dictionaries({"required": _NAMES}),
    "dependentRequired": st.fixed_dictionaries({"dependentRequired": st.dictionaries(st.sampled_from("ab"), _NAMES)}),
    "dependentSchemas": st.fixed_dictionaries({"dependentSchemas": _NAMED}),
    "dependencies": st.fixed_dictionaries(
        {"$schema": st.just("http://json-schema.org/draft-07/schema#"),
         "dependencies": st.dictionaries(st.sampled_from("ab"), _PART | _NAMES)}),
    "propertyNames": st.fixed_dictionaries({"propertyNames": _PART}),
    "properties": st.fixed_dictionaries({"properties": _NAMED}),
    "patternProperties": st.fixed_dictionaries(
        {"patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), _PART, min_size=1)},
        optional={"properties": _NAMED, "additionalProperties": _PART}),
    "additionalProperties": st.fixed_dictionaries({"additionalProperties": _PART}, optional={"properties": _NAMED}),
    "items": st.fixed_dictionaries({"items": _PART}),
    "prefixItems": st.fixed_dictionaries({"prefixItems": _PARTS}, optional={"items": _PART}),
    "additionalItems": st.fixed_dictionaries(
        {"$schema": st.just("http://json-schema.org/draft-07/schema#"), "items": _PARTS, "additionalItems": _PART}),
    "contains": st.fixed_dictionaries({"contains": _PART}, optional={"minContains": _SIZE, "maxContains": _SIZE}),
    "uniqueItems": st.fixed_dictionaries({"uniqueItems": st.booleans()}),
    "$ref": st.fixed_dictionaries({"$ref": st.just("#/$defs/d"), "$defs": st.fixed_dictionaries({"d": _PART})}),
}  # fmt: skip
APPROXIMATED = frozenset({
    "patternProperties", "additionalProperties", "propertyNames", "prefixItems", "additionalItems", "contains",
})  # fmt: skip
"""Keywords whose negation is held in part: what is left is checked on the finished text."""


@pytest.mark.parametrize("keyword", RULES)
class TestRule:
    """One keyword."""

    @PER_EXAMPLE
    @given(data=st.data())
    def test_its_steps_hold_of_exactly_the_valid_values(self, keyword: str, data: st.DataObject) -> None:
        """Affirmed, a keyword says the same before and after it is taken apart."""
        schema = data.draw(RULES[keyword], label="schema")
        reading = Reading(schema)

        for value in _VALUES:
            steps = reading.steps(kind_of(value), holds=True)
            found = steps is not None and all(reading.meets(step, value) for step in steps)
            assert found == reading.library.meets(value, ""), value
            assert not any(_is_loose(step) for step in steps or ())

    @PER_EXAMPLE
    @given(data=st.data())
    def test_its_negation_holds_of_exactly_the_invalid_values(self, keyword: str, data: st.DataObject) -> None:
        """Denied, too; where the report will say "checked", nothing invalid is lost."""
        schema = data.draw(RULES[keyword], label="schema")
        reading = Reading(schema)

        for value in _VALUES:
            steps = reading.steps(kind_of(value), holds=False)
            found = steps is not None and all(reading.meets(step, value) for step in steps)
            is_invalid = not reading.library.meets(value, "")
            assert found or not is_invalid, value
            if not any(_is_loose(step) for step in steps or ()):
                assert found == is_invalid, value
            else:
                assert keyword in APPROXIMATED
