"""What a schema contract refuses, reports, checks and spells."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.check import canonicalise, check_output
from shared.contracts.lower import lower
from shared.contracts.report import KeywordFate
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import InvalidInput
from tests.unit.contracts.sample import SAMPLES, automaton, byte_tokens, closed, integer, number, string

Json = Any  # JSON values


def contract(schema: Json) -> ContractSpec:
    """A contract of a schema or of its text."""
    return ContractSpec(ContractKind.JSON, schema if isinstance(schema, str) else json.dumps(schema))


def pointers(schema: Json) -> list[str]:
    """The places at which a schema is refused."""
    with pytest.raises(InvalidInput) as refusal:
        lower(contract(schema))
    return [violation.path.removeprefix("json_schema#") for violation in refusal.value.violations]


def one(**keywords: Json) -> dict[str, Json]:
    """An object whose property `p` has these keywords."""
    return closed({"p": keywords})


REFUSED: list[tuple[Json, str]] = [
    *[
        (one(type="string", **{keyword: value}), f"/properties/p/{keyword}")
        for keyword, value in {
            "allOf": [{}], "not": {}, "if": {}, "then": {}, "else": {}, "patternProperties": {}, "propertyNames": {},
            "dependentRequired": {}, "dependentSchemas": {}, "unevaluatedProperties": False, "minProperties": 1,
            "maxProperties": 1, "contains": {}, "prefixItems": [{}], "$anchor": "a", "$dynamicRef": "#",
            "nullable": True,
            "x-guidance": {"lenient": True}, "unevaluatedItems": False, "minimun": 3, "maxlength": 3, "$id": "http://a/b",
        }.items()
    ],
    ("nonsense", ""),
    ('{"type": "string", "type": "null"}', ""),
    ('{"const": NaN}', ""),
    ('{"const": "\\ud800"}', ""),
    ("[" * 10_000, ""),
    ("[]", ""),
    (True, ""),
    ({}, ""),
    (closed({"p": True}), "/properties/p"),
    (one(minimum=3), "/properties/p"),
    (one(type="strin"), "/properties/p/type"),
    (one(type="string", minLength=-1), "/properties/p/minLength"),
    (one(type="integer", exclusiveMinimum=True), "/properties/p/exclusiveMinimum"),
    (one(type="string", minLength=4, maxLength=3), "/properties/p/maxLength"),
    (one(type="string", pattern="(?=a)"), "/properties/p/pattern"),
    (one(type="string", pattern="^a{5}$", maxLength=3), "/properties/p/pattern"),
    (one(type="string", pattern="[a-z]{3}[0-9]{3}", maxLength=500), "/properties/p/pattern"),
    (one(type="string", format="date", maxLength=3), "/properties/p/format"),
    (one(type="integer", minimum=5, maximum=3), "/properties/p/maximum"),
    (one(type="integer", exclusiveMinimum=1, exclusiveMaximum=2), "/properties/p/exclusiveMaximum"),
    (one(type="number", minimum=1e300), "/properties/p/minimum"),
    (one(type="integer", multipleOf=7), "/properties/p/multipleOf"),
    (one(type="number", multipleOf=0.25), "/properties/p/multipleOf"),
    (one(type="array"), "/properties/p"),
    (one(type="array", items=True), "/properties/p/items"),
    (one(type="array", items={"type": "null"}, uniqueItems=True), "/properties/p/uniqueItems"),
    (one(type="array", items={"type": "null"}, minItems=3, maxItems=2), "/properties/p/maxItems"),
    (one(type="object"), "/properties/p"),
    (one(type="object", additionalProperties={"type": "null"}), "/properties/p/additionalProperties"),
    ({"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a", "z"]}, "/required"),
    (one(enum=[]), "/properties/p/enum"),
    (one(enum=["a"], type="integer"), "/properties/p/enum"),
    (one(const=5, maximum=4), "/properties/p/const"),
    (one(anyOf=[{"type": "string"}, {"not": {}}]), "/properties/p/anyOf/1/not"),
    (one(anyOf=[{"type": "string"}], type="integer"), "/properties/p/type"),
    (one(oneOf=[{"type": "integer"}, {"type": "number"}]), "/properties/p/oneOf"),
    (one(oneOf=[closed({"a": integer()}, []), closed({"b": integer()}, [])]), "/properties/p/oneOf"),
    (one(oneOf=[{"type": "object", "properties": {name: integer()}} for name in "ab"]), "/properties/p/oneOf"),
    (one(**{"$ref": "https://example.org/x.json"}), "/properties/p/$ref"),
    (one(**{"$ref": "#/$defs/none"}), "/properties/p/$ref"),
    (one(**{"$ref": "#/properties/p/default", "default": {"type": "string", "minLength": "x"}}), "/properties/p/$ref"),
    (one(**{"$ref": "#/properties/p", "type": "string"}), "/properties/p/type"),
    (one(**{"$ref": "#"}), "/properties/p/$ref"),
    ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "/$defs/b/$ref"),
    (one(type="object", properties={"a/b~c": {"not": {}}}), "/properties/p/properties/a~1b~0c/not"),
]  # fmt: skip


class TestRefusal:
    """What cannot be guaranteed is named."""

    @pytest.mark.parametrize(("schema", "pointer"), REFUSED)
    def test_names_the_place(self, schema: Json, pointer: str) -> None:
        """The violations hold the JSON Pointer of the part that cannot be guaranteed."""
        assert pointer in pointers(schema if isinstance(schema, str) else json.dumps(schema))

    def test_names_all_places_at_once(self) -> None:
        """One refusal lists every fault of the schema, malformed values included, and nothing derived from them."""
        schema = closed(
            {"a": {"not": {}}, "b": integer(multipleOf=7), "c": string(maxLength="x"), "d": {"type": "strin"}}
        )

        assert sorted(pointers(schema)) == [
            "/properties/a/not", "/properties/b/multipleOf", "/properties/c/maxLength", "/properties/d/type",
        ]  # fmt: skip

    def test_reads_on_behind_a_reference_into_alternatives(self) -> None:
        """A branch that is also a reference's target is read without the keywords beside anyOf."""
        schema = {
            **closed({"a": {"const": 1}}),
            "anyOf": [{"title": "x"}],
            "$defs": {"s": string(maxLength=1)},
        }

        assert lower(contract(schema)).regex


class TestReport:
    """The fate of every keyword."""

    def test_names_enforced_and_annotating_keywords(self) -> None:
        """Assertions are enforced, annotations and unknown formats are reported as such, narrowing is said."""
        schema = {
            "title": "t",
            "type": "object",
            "properties": {"a": string(format="ipv4", description="d", minimum=3), "b": string(format="date")},
        }

        fates = {verdict.pointer: verdict for verdict in lower(contract(schema)).verdicts}

        annotations = {pointer for pointer, verdict in fates.items() if verdict.fate is KeywordFate.ANNOTATION}
        assert annotations == {"/title", "/properties/a/format", "/properties/a/description", "/properties/a/minimum"}
        assert fates["/properties/b/format"].fate is KeywordFate.ENFORCED
        assert "narrowed" in fates["/additionalProperties"].note


class TestCheckOutput:
    """The check of finished texts, independent of the automaton."""

    @pytest.mark.parametrize(
        "text",
        ['{"name":"a","name":"b","n":1}', '{"name":"a","n":NaN}', '{"name":"a","n":1e999}', '{"name":"a"', "",
         '{"name":"\\ud800","n":1}',
         '{"name":"a","n":1} x', "[" * 5000, '{"name":"a\nb","n":1}', "\ufeff{}"],
    )  # fmt: skip
    def test_refuses_what_is_not_strict_json(self, text: str) -> None:
        """Duplicate keys, NaN, infinity, half surrogates, truncation and raw controls are faults of the output."""
        faults = check_output(contract(SAMPLES["object_required"][0]), text)

        assert [fault.path for fault in faults] == ["output"]

    def test_points_to_every_fault(self) -> None:
        """Paths are JSON Pointers into the output."""
        faults = check_output(contract(SAMPLES["object_required"][0]), '{"name":"123456789","n":"x"}')

        assert sorted(fault.path for fault in faults) == ["output#/n", "output#/name"]

    def test_takes_linear_time_on_a_catastrophic_pattern(self) -> None:
        """`^(a+)+$` on a near miss of 2,000 characters is answered; `re` would take longer than the universe."""
        faults = check_output(contract(string(pattern="^(a+)+$")), json.dumps("a" * 2000 + "!"))

        assert len(faults) == 1


class TestCanonicalise:
    """The one spelling that the automaton can produce."""

    def test_orders_keys_and_removes_spaces(self) -> None:
        """Keys stand in schema order, numbers in their shortest form, text raw."""
        schema = closed({"b": number(), "a": string(), "c": integer()})

        text = canonicalise(contract(schema), '{ "c": 2.0, "a": "\\u00e9\\/\\n", "b": 12.50 }')

        assert text == '{"b":12.5,"a":"é/\\n","c":2}'

    @pytest.mark.parametrize(
        ("schema", "text"),
        [
            ({"type": "object", "properties": {"a": integer()}}, '{"a":1,"z":2}'),
            (number(), "1.1234567890123"),
            (number(), "1e300"),
            (integer(), "1000000000000000"),
            (string(), '"\\u0001"'),
            (string(format="email"), '"\\"quoted\\"@example.org"'),
            (string(maxLength=2), '"abc"'),
        ],
    )
    def test_says_what_cannot_be_generated(self, schema: Json, text: str) -> None:
        """A text that breaks the contract, or keeps it in a spelling we never generate, is refused with its place."""
        with pytest.raises(InvalidInput) as refusal:
            canonicalise(contract(schema), text)

        assert refusal.value.reason == "CONTRACT_VIOLATED"
        assert refusal.value.violations[0].path.startswith("output#")

    @settings(max_examples=80, deadline=None)
    @given(value=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30))
    def test_any_text_is_spelled_as_json_dumps_does(self, value: str) -> None:
        """Every string without unusual controls is in the language of `type: string`."""
        text = json.dumps(value, ensure_ascii=False)
        if any(char < " " and char not in "\b\t\n\f\r" for char in value):
            return

        assert canonicalise(contract(string()), text) == text
        assert automaton("string").accepts(byte_tokens(text))

    @settings(max_examples=80, deadline=None)
    @given(st.fixed_dictionaries({
        "vendor": st.text(alphabet=st.characters(exclude_categories=["C"]), min_size=1, max_size=40),
        "total": st.fixed_dictionaries({
            "amount": st.integers(0, 10**8).map(lambda cents: cents / 100),
            "currency": st.sampled_from(["EUR", "USD", "GBP"]),
        }),
    }, optional={
        "date": st.dates().map(str),
        "paid": st.booleans(),
        "lines": st.lists(st.fixed_dictionaries({
            "qty": st.integers(1, 99), "sku": st.from_regex("[A-Z]{3}", fullmatch=True),
        }), max_size=3),
    }))  # fmt: skip
    def test_every_valid_invoice_is_in_the_language(self, value: Json) -> None:
        """Canonicalised valid instances are accepted by the automaton."""
        text = canonicalise(contract(SAMPLES["invoice"][0]), json.dumps(value))

        assert json.loads(text) == value
        assert automaton("invoice").accepts(byte_tokens(text))
