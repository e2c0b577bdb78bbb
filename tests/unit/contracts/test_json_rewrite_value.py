"""const and enum in one canonical spelling: against the `jsonschema` library's equality."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from shared.contracts.json_schema.value import canonical_json, same_value
from tests.unit.contracts.json_rewrite import PER_EXAMPLE, Family, FamilyChecks, RewriteCase

Json = Any  # JSON values
Schema = dict[str, Json]

_SCALARS = st.sampled_from(
    [None, True, False, 0, 1, 1.0, -2, 0.5, -0.0, 10**16, 1e16, 10**15, 1e-7, "", "1", "é", "\n"]
)
_VALUES: st.SearchStrategy[Json] = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "1", ""]), inner, max_size=3)
    ),
    max_leaves=5,
)


def respelled(value: Json, rng: random.Random) -> Json:
    """An equal value: members in another order, whole numbers with a point or without."""
    if isinstance(value, list):
        return [respelled(item, rng) for item in value]
    if isinstance(value, dict):
        return {name: respelled(value[name], rng) for name in rng.sample(list(value), len(value))}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return rng.choice([value, float(value)])
    if isinstance(value, float) and value.is_integer():
        return rng.choice([value, int(value)])
    return value


def changed(value: Json, rng: random.Random) -> Json:
    """A value that differs in one place, or hardly: 1 for true, an item more, a member left out."""
    if isinstance(value, list) and value:
        at = rng.randrange(len(value))
        return rng.choice([value[:at], [*value, value[at]], [*value[:at], changed(value[at], rng), *value[at + 1 :]]])
    if isinstance(value, dict) and value:
        name = rng.choice(list(value))
        less = {other: item for other, item in value.items() if other != name}
        return rng.choice([less, {**value, "c": None}, {**value, name: changed(value[name], rng)}])
    return {None: False, True: 1, False: 0, "": " ", "1": 1}.get(value, [value]) if not _is_compound(value) else [value]


def _is_compound(value: Json) -> bool:
    return isinstance(value, list | dict)


def _around(schema: Schema) -> tuple[Json, ...]:
    rng = random.Random(json.dumps(schema))
    listed = schema.get("enum", [schema.get("const")])
    near = [edit(value, rng) for value in listed for edit in (respelled, respelled, changed, changed, changed)]
    return (*near, 1, True, "1", [1], {"a": 1})


FAMILIES = {
    "const": Family(st.fixed_dictionaries({"const": _VALUES}), _around),
    "enum": Family(st.fixed_dictionaries({"enum": st.lists(_VALUES, min_size=1, max_size=4)}), _around),
    "enum_beside_keywords": Family(
        st.fixed_dictionaries(
            {"enum": st.lists(_VALUES, min_size=2, max_size=4)},
            optional={"type": st.sampled_from(["integer", "number", "string", "array", "object", ["null", "boolean"]]),
                      "maximum": st.just(3), "maxLength": st.just(0), "required": st.just(["a"])}), _around),
    "all_of_enums": Family(
        st.tuples(st.lists(_VALUES, min_size=2, max_size=4), st.randoms(use_true_random=False)).map(
            lambda two: {"enum": two[0], "allOf": [{"enum": [respelled(v, two[1]) for v in two[0][1:]]}]}), _around),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
class TestRewriteOfValues(FamilyChecks):
    """One family for each rewrite, named after it."""


class TestSameValue:
    """`same_value`: equality as JSON Schema has it."""

    @PER_EXAMPLE
    @given(left=_VALUES, right=_VALUES, rng=st.randoms(use_true_random=False))
    def test_agrees_with_const(self, left: Json, right: Json, rng: random.Random) -> None:
        """Two values are the same iff one satisfies the other as a `const`."""
        for other in (right, respelled(left, rng), changed(left, rng)):
            assert same_value(left, other) == Draft202012Validator({"const": left}).is_valid(other)

    @PER_EXAMPLE
    @given(value=_VALUES, rng=st.randoms(use_true_random=False))
    def test_holds_of_another_spelling(self, value: Json, rng: random.Random) -> None:
        """Member order and a trailing `.0` do not matter, at any depth."""
        assert same_value(value, respelled(value, rng))
        assert same_value(respelled(value, rng), value)


class TestCanonicalJson:
    """`canonical_json`: the one text of a value."""

    @PER_EXAMPLE
    @given(value=_VALUES)
    def test_reads_back_as_the_same_value(self, value: Json) -> None:
        """Compact, and spelling it twice changes nothing."""
        text = canonical_json(value)

        assert same_value(json.loads(text), value)
        assert canonical_json(json.loads(text)) == text

    @PER_EXAMPLE
    @given(value=_VALUES, rng=st.randoms(use_true_random=False))
    def test_a_listed_value_has_one_text(self, value: Json, rng: random.Random) -> None:
        """However an equal value is written, its text under the contract is that of the schema."""
        case = RewriteCase({"enum": [value]})

        assert case.spelled(respelled(value, rng)) == canonical_json(value)
        assert case.check_derivations(rng, 3) == 3
