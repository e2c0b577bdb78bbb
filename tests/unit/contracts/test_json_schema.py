"""What a schema contract refuses, reports, checks and spells."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.check import canonicalise, check_output
from shared.contracts.lower import lower
from shared.contracts.report import Guarantee, KeywordFate
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
    """An object whose property `p` has these keywords; `not_` stands for `not`."""
    return closed({"p": {keyword.rstrip("_"): value for keyword, value in keywords.items()}})


REFUSED: list[tuple[Json, str]] = [
    ("nonsense", ""),
    ('{"type": "string", "type": "null"}', ""),
    ('{"const": NaN}', ""),
    ('{"const": "\\ud800"}', ""),
    ("[" * 10_000, ""),
    ("[]", ""),
    (True, ""),
    (one(type="strin"), "/properties/p/type"),
    (one(type="string", minLength=-1), "/properties/p/minLength"),
    (one(type="string", pattern="(?=a)"), "/properties/p/pattern"),
    (one(type="object", patternProperties={"(?<!a)b": {}}), "/properties/p/patternProperties"),
    (one(type="string", pattern="^((a|b){1000}){0,200}$"), "/properties/p/pattern"),
    (one(type="object", patternProperties={"^(a{1000}){200}$": {}}), "/properties/p/patternProperties"),
    (one(not_={}), "/properties/p"),
    (one(type="string", minLength=4, maxLength=3), "/properties/p"),
    (one(type="string", pattern="^a{5}$", maxLength=3), "/properties/p"),
    (one(type="integer", minimum=5, maximum=3), "/properties/p"),
    (one(type="integer", exclusiveMinimum=1, exclusiveMaximum=2), "/properties/p"),
    (one(type="number", minimum=1e300), "/properties/p"),
    (one(enum=["a"], type="integer"), "/properties/p"),
    (one(const=5, maximum=4), "/properties/p"),
    (one(oneOf=[{"type": "integer"}, {"type": "integer"}]), "/properties/p"),
    (one(type="array", items={"enum": [1, 2]}, uniqueItems=True, minItems=3), "/properties/p"),
    (one(type="object", required=["a"], propertyNames={"maxLength": 0}), "/properties/p"),
    (one(**{"$ref": "https://example.org/x.json"}), "/properties/p/$ref"),
    (one(**{"$ref": "#/$defs/none"}), "/properties/p/$ref"),
    (one(**{"$ref": "#/properties/p/default", "default": {"type": "string", "minLength": "x"}}), "/properties/p/$ref"),
    ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "/$defs/b/$ref"),
    (closed({"next": {"$ref": "#"}}), ""),
    (one(allOf=[{"$ref": "#/properties/p"}]), "/properties/p/allOf/0/$ref"),
]  # fmt: skip


class TestRefusal:
    """What cannot be guaranteed is named."""

    @pytest.mark.parametrize(("schema", "pointer"), REFUSED)
    def test_names_the_place(self, schema: Json, pointer: str) -> None:
        """The violations hold the JSON Pointer of the part that cannot be guaranteed."""
        assert pointer in pointers(schema if isinstance(schema, str) else json.dumps(schema))

    def test_names_all_places_at_once(self) -> None:
        """One refusal lists every malformed value; once there is none, every part that cannot be guaranteed."""
        malformed = closed({"c": string(maxLength="x"), "d": {"type": "strin"}})
        impossible = closed({"a": string(pattern="(?=a)"), "b": {"$ref": "#/$defs/none"}})

        assert sorted(pointers(malformed)) == ["/properties/c/maxLength", "/properties/d/type"]
        assert sorted(pointers(impossible)) == ["/properties/a/pattern", "/properties/b/$ref"]


class TestReport:
    """The fate of every keyword."""

    def test_names_enforced_and_annotating_keywords(self) -> None:
        """Assertions are enforced, annotations and unknown formats are reported as such, narrowing is said."""
        schema = {
            "title": "t",
            "type": "object",
            "properties": {"a": string(format="color", description="d", minimum=3), "b": string(format="date")},
        }

        fates = {verdict.pointer: verdict for verdict in lower(contract(schema)).verdicts}

        annotations = {pointer for pointer, verdict in fates.items() if verdict.fate is KeywordFate.ANNOTATION}
        assert annotations == {"/title", "/properties/a/format", "/properties/a/description", "/properties/a/minimum"}
        assert fates["/properties/b/format"].fate is KeywordFate.ENFORCED
        assert "narrowed" in fates["/additionalProperties"].note

    def test_says_of_an_unknown_keyword_that_it_does_nothing(self) -> None:
        """A slip such as `maxlength`, or another vendor's switch, is never silently dropped."""
        schema = string(maxlength=3, **{"x-guidance": {"lenient": True}}, maxLength=4)

        verdicts = {verdict.pointer: verdict for verdict in lower(contract(schema)).verdicts}

        for pointer in ("/maxlength", "/x-guidance"):
            assert verdicts[pointer].fate is KeywordFate.ANNOTATION
            assert "says nothing" in verdicts[pointer].note
        assert verdicts["/maxLength"].fate is KeywordFate.ENFORCED

    def test_has_a_verdict_for_every_keyword(self) -> None:
        """Also for those of schemas that nothing refers to."""
        schema = {"$defs": {"unused": integer(minimum=1)}, **closed({"a": string()})}

        pointers = {verdict.pointer: verdict for verdict in lower(contract(schema)).verdicts}

        assert pointers["/$defs/unused/minimum"].fate is KeywordFate.ANNOTATION
        assert {"/type", "/properties", "/required", "/additionalProperties", "/properties/a/type"} <= pointers.keys()

    @pytest.mark.parametrize(
        ("schema", "pointer"),
        [
            (integer(multipleOf=7), "/multipleOf"),
            ({"type": "array", "items": {"type": "array"}, "uniqueItems": True}, "/uniqueItems"),
            ({"type": "array", "contains": integer(), "minContains": 2}, "/contains"),
            ({"type": "object", "not": {"propertyNames": {"maxLength": 2}}}, "/not/propertyNames"),
            ({"not": {"const": [1]}}, "/not/const"),
        ],
    )
    def test_what_the_grammar_cannot_hold_is_checked(self, schema: Json, pointer: str) -> None:
        """Such a contract is sound, not certain, and the report says which keyword is the reason."""
        lowered = lower(contract(schema))

        assert lowered.guarantee is Guarantee.SOUND
        assert [v.pointer for v in lowered.verdicts if v.fate is KeywordFate.CHECKED] == [pointer]


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
            (string(format="hostname"), '"xn--a"'),
        ],
    )
    def test_says_what_cannot_be_generated(self, schema: Json, text: str) -> None:
        """A text that breaks the contract, or keeps it in a spelling we never generate, is refused with its place."""
        with pytest.raises(InvalidInput) as refusal:
            canonicalise(contract(schema), text)

        assert refusal.value.reason == "CONTRACT_VIOLATED"
        assert refusal.value.violations[0].path.startswith("output#")

    @pytest.mark.parametrize(
        ("schema", "text"),
        [
            (string(maxLength=300_000), '"abc"'),
            ({"type": "object", "propertyNames": {"maxLength": 300_000}, "required": ["a"]}, '{"a":"b","c":1}'),
        ],
    )
    def test_lengths_beyond_any_automaton_are_counted(self, schema: Json, text: str) -> None:
        """Long texts are common, and no machine of so many states is built to spell one."""
        assert canonicalise(contract(schema), text) == text

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
