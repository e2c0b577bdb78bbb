"""How one rewrite of the JSON Schema compiler is asked: families of schemas, with values around their boundary."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.contracts.json_schema.contract import read_contract
from shared.contracts.json_schema.dialect import dialect_of
from shared.contracts.json_schema.source import parse_json
from shared.contracts.json_schema.spelling import Speller
from shared.contracts.json_schema.value import canonical_json
from shared.contracts.spec import UndeclaredProperties
from shared.errors import FieldViolation, InvalidInput
from tests.unit.contracts.json_oracle import SchemaCase

Json = Any  # JSON values
Schema = dict[str, Json]

SCALARS: tuple[Json, ...] = (None, True, -1, 0, 1, 2, 3.0, 4, 2.5, "", "a", "ab", "b", "abc")
MIXED: tuple[Json, ...] = (*SCALARS, [], [1], ["a"], [1, 2], {}, {"a": 1}, {"a": "x"}, {"b": 1}, {"b": "x", "a": 1})

PER_EXAMPLE = settings(max_examples=14, deadline=None, suppress_health_check=list(HealthCheck))
_MIN_SHARE = 0.5
"""Of the schemas of a family: those that have values on both sides of the boundary."""


def objects(names: Sequence[str], values: Sequence[Json]) -> tuple[Json, ...]:
    """Every object with members of these names and values, the names in every order for two or fewer."""
    found = []
    for chosen in product([None, *((value,) for value in values)], repeat=len(names)):
        members = [(name, one[0]) for name, one in zip(names, chosen, strict=True) if one is not None]
        orders = permutations(members) if len(members) <= 2 else [members]
        found += [dict(order) for order in orders]
    return tuple(found)


def arrays(values: Sequence[Json], most: int) -> tuple[Json, ...]:
    """Every array of up to `most` of the values."""
    return tuple(list(items) for count in range(most + 1) for items in product(values, repeat=count))


@dataclass(frozen=True)
class Family:
    """The schemas that one rewrite is for.

    `values` are around the boundary of a schema; `is_checked` tells the schemas that the grammar holds but in part, so
    that the report must say "checked": of all others the contract must be certain.
    """

    schemas: st.SearchStrategy[Schema]
    values: Callable[[Schema], Sequence[Json]]
    is_checked: Callable[[Schema], bool] = lambda schema: False

    def check_values(self, data: st.DataObject) -> None:
        """A value has a text exactly when the library finds it valid.

        Of a certain contract the grammar by itself says so, without the check of finished texts.
        """
        schema = data.draw(self.schemas, label="schema")
        case = case_of(schema, self.values(schema))
        if case is None:
            return
        assert case.is_certain != self.is_checked(schema)
        for side in sides(schema, self.values(schema)):
            for value in data.draw(st.lists(st.sampled_from(side), min_size=3, max_size=5), label="values"):
                case.check(value)

    def check_texts(self, data: st.DataObject) -> None:
        """Whatever is derived is valid, and something can be derived."""
        schema = data.draw(self.schemas, label="schema")
        case = case_of(schema, self.values(schema))
        if case is not None:
            case.check_derivations(random.Random(data.draw(st.integers(0, 2**32), label="seed")), 6)

    def check_sides(self) -> None:
        """Most schemas of the family have values of both kinds: both directions of the equivalence are tried."""
        tally: Counter[bool] = Counter()

        @settings(PER_EXAMPLE, max_examples=20, derandomize=True, database=None)
        @given(self.schemas)
        def count(schema: Schema) -> None:
            tally[len(sides(schema, self.values(schema))) == 2] += 1

        count()
        assert tally[True] >= _MIN_SHARE * tally.total()


class FamilyChecks:
    """What holds of every family; a test class names its own by `parametrize` or as a fixture `family`."""

    @PER_EXAMPLE
    @given(data=st.data())
    def test_keeps_exactly_the_valid_values(self, family: Family, data: st.DataObject) -> None:
        """A value has a text iff it is valid; where nothing is checked, the grammar alone says so."""
        family.check_values(data)

    @PER_EXAMPLE
    @given(data=st.data())
    def test_derives_valid_texts_only(self, family: Family, data: st.DataObject) -> None:
        """Whatever a certain contract derives satisfies the schema as it was written."""
        family.check_texts(data)

    def test_is_asked_on_both_sides(self, family: Family) -> None:
        """Most of its schemas have valid and invalid values."""
        family.check_sides()


def library_of(schema: Schema) -> Any:  # Any: a validator of jsonschema
    """The library's validator; it reads `$` and `.` as ECMA-262 does, not as Python, to whom `.` is also U+2028."""
    return dialect_of(schema).validator(_with_python_patterns(schema))


def _with_python_patterns(schema: Json) -> Json:
    if isinstance(schema, list):
        return [_with_python_patterns(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {keyword: _with_python_patterns(value) for keyword, value in schema.items()}
    if isinstance(found.get("pattern"), str):
        found["pattern"] = python_pattern(found["pattern"])
    if "patternProperties" in found:
        found["patternProperties"] = {python_pattern(s): part for s, part in found["patternProperties"].items()}
    return found


def python_pattern(source: str) -> str:
    """A simple ECMA-262 pattern, without `.` or `$` in classes, as Python's `re` must be told."""
    return re.sub(r"(?<!\\)\.", lambda _: r"[^\n\r\u2028\u2029]", source.replace("$", r"\Z"))


def sides(schema: Schema, values: Sequence[Json]) -> list[list[Json]]:
    """Values that the library finds valid, and those that it finds invalid, without a side that has none."""
    library = library_of(schema)
    found: tuple[list[Json], list[Json]] = ([], [])
    for value in values:
        found[library.is_valid(value)].append(value)
    return [side for side in found if side]


class RewriteCase(SchemaCase):
    """A schema whose grammar and model are also asked without the check of finished texts."""

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema, UndeclaredProperties.AS_WRITTEN)
        self._library = library_of(schema)
        self._model = read_contract(self.spec.json_schema, self.spec.undeclared_properties).model

    def is_generated(self, value: Json) -> bool:
        """Whether the grammar derives the value in its canonical spelling."""
        text, faults = Speller(self._model).spell(parse_json(json.dumps(value), exact=True))
        if faults:
            return False
        assert self.derives(text), text
        return True

    def check(self, value: Json) -> None:
        """The library, the canonical text and, of a certain contract, model and grammar agree on a value."""
        valid = self.is_valid(value)
        assert (self.spelled(value) is not None) == valid, value
        if self.is_certain:
            assert self.is_generated(value) == valid, value
        if self.is_certain and not valid and not self._is_told_apart_by_the_engine:
            assert not self.derives(canonical_json(value)), value

    @property
    def _is_told_apart_by_the_engine(self) -> bool:
        """Whether texts that repeat are told apart while they are written: the grammar read literally does not."""
        return any(rule.open_key for rule in self.grammar.rules.values())


def case_of(schema: Schema, values: Sequence[Json]) -> RewriteCase | None:
    """The case of a schema; None where it is refused because no value satisfies it, of which the library is asked."""
    refused: tuple[FieldViolation, ...] = ()
    try:
        return RewriteCase(schema)
    except InvalidInput as refusal:
        refused = tuple(refusal.violations)
    library = library_of(schema)
    valid = [value for value in values if library.is_valid(value)]
    assert all("No value satisfies" in fault.description for fault in refused), refused
    assert not valid, f"refused although it has values: {valid}"
    return None


def seeded(name: str) -> random.Random:
    """Chance that is the same in every run."""
    return random.Random(name)
