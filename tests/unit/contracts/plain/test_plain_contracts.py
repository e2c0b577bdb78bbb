"""Contracts of the kinds `choice`, `regex` and `text`: what is accepted, refused, promised and checked."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.check import canonicalise, check_output
from shared.contracts.grammar.machine import Machine
from shared.contracts.grammar.pattern import parse_whole_pattern
from shared.contracts.lower import lower
from shared.contracts.plain.alphabet import foreign
from shared.contracts.plain.whole_pattern import widest
from shared.contracts.report import Guarantee, KeywordFate
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import InvalidInput
from tests.unit.contracts.sample import build_contract, byte_tokens, vocabulary


def choice(*choices: str) -> ContractSpec:
    """A contract of a list of answers."""
    return ContractSpec(ContractKind.CHOICE, choices=choices)


def pattern(source: str) -> ContractSpec:
    """A contract of a pattern."""
    return ContractSpec(ContractKind.REGEX, pattern=source)


def text(max_chars: int = 0) -> ContractSpec:
    """A contract of plain text."""
    return ContractSpec(ContractKind.TEXT, max_chars=max_chars)


SPECS = {
    "choice": choice("billing", "bill", "a.b|c", "two\nlines", "é😀", " "),
    "choice_one": choice("(only)"),
    "regex": pattern(r"^[A-Z]{2}-\d{3}|none$"),
    "regex_empty": pattern(r"(ab?)*"),
    "regex_unicode": pattern("[^\\n]{0,3}\u20ac"),
    "text": text(),
    "text_short": text(4),
}


def refusal(spec: ContractSpec) -> InvalidInput:
    """What `lower` says no with."""
    with pytest.raises(InvalidInput) as caught:
        lower(spec)
    return caught.value


class TestEveryKind:
    """What the three kinds have in common."""

    @pytest.mark.parametrize("name", SPECS)
    @settings(max_examples=60, deadline=None)
    @given(sample=st.text("abil.|c\nén😀 A-1(only)€", max_size=7))
    def test_grammar_expression_automaton_and_check_are_one_language(self, name: str, sample: str) -> None:
        """A text is in the grammar iff the regular expression's automaton takes it iff it passes the check."""
        spec = SPECS[name]
        lowered = lower(spec)
        expression = lowered.grammar.expression(10_000)
        assert expression is not None

        kept = not check_output(spec, sample)

        assert Machine.of(expression).accepts(sample) == kept
        assert build_contract(spec).accepts(byte_tokens(sample)) == kept

    @pytest.mark.parametrize("name", SPECS)
    def test_every_walk_within_any_sufficient_budget_is_a_whole_answer(self, name: str) -> None:
        """From the least budget upward, whoever chooses among the allowed tokens."""
        machine, rng, data = build_contract(SPECS[name]), random.Random(name), vocabulary().token_bytes
        for budget in (machine.min_tokens + extra for extra in (0, 1, 2, 5, 40) for _ in range(20)):
            state, written = machine.start, b""
            for left in range(budget, 0, -1):
                token = int(rng.choice(machine.allowed(state, left)))
                following = machine.next(state, token)
                if following is None:
                    break
                state, written = following, written + data[token]

            assert token == machine.eos_id
            assert check_output(SPECS[name], written.decode()) == ()

    @pytest.mark.parametrize("name", SPECS)
    def test_a_kept_text_is_its_own_canonical_form(self, name: str) -> None:
        """There is one spelling; what breaks the contract has none and says why at `output`."""
        spec = SPECS[name]
        kept = {"choice": "é😀", "choice_one": "(only)", "regex": "AB-123", "regex_empty": "", "regex_unicode": "a€"}

        assert canonicalise(spec, kept.get(name, "a\nb")) == kept.get(name, "a\nb")
        with pytest.raises(InvalidInput) as caught:
            canonicalise(spec, "\x00 no answer is ever like this")
        assert caught.value.reason == "CONTRACT_VIOLATED"
        assert [violation.path for violation in caught.value.violations] == ["output"]

    @pytest.mark.parametrize("name", SPECS)
    def test_a_spec_survives_its_canonical_bytes(self, name: str) -> None:
        """What is stored is what was said."""
        assert ContractSpec.from_canonical(SPECS[name].canonical()) == SPECS[name]

    def test_no_language_holds_a_control_character_or_a_surrogate(self) -> None:
        """The place of the first is named; line breaks and tabs are ordinary."""
        assert foreign("ab\x00") == "U+0000 at character 2"
        assert foreign("\ud800") == "U+D800 at character 0"
        assert foreign("a\tb\nc\r\u2028\x7f😀") == ""


class TestChoice:
    """One of a list of answers."""

    def test_is_certain(self) -> None:
        """Every answer is one of the list, in full."""
        lowered = lower(SPECS["choice"])

        assert lowered.guarantee is Guarantee.CERTAIN
        assert [(v.pointer, v.fate) for v in lowered.verdicts] == [("choices", KeywordFate.ENFORCED)]

    def test_every_choice_can_be_written(self) -> None:
        """A choice that begins another one too."""
        machine = build_contract(SPECS["choice"])

        assert all(machine.accepts(byte_tokens(each)) for each in SPECS["choice"].choices)

    def test_each_fault_is_named_by_its_place(self) -> None:
        """Empty ones, repeats and characters that no answer can hold, all at once."""
        error = refusal(choice("a", "", "b", "a", "x\x00y", "z" * 2_001))

        assert error.reason == "CONTRACT_UNSUPPORTED"
        assert [(v.path, v.description) for v in error.violations] == [
            ("choices[1]", "is empty"),
            ("choices[3]", "repeats choices[0]"),
            ("choices[4]", "holds U+0000 at character 1, which no answer can hold"),
            ("choices[5]", "has 2001 characters, the limit is 2000"),
        ]

    @pytest.mark.parametrize("count", [0, 4_097])
    def test_the_list_has_a_size(self, count: int) -> None:
        """Not empty, and not longer than anything that can be taught."""
        error = refusal(choice(*map(str, range(count))))

        assert [v.path for v in error.violations] == ["choices"]

    def test_the_longest_list_is_accepted(self) -> None:
        """The limit is the last size that works."""
        lower(choice(*map(str, range(4_096))))

    def test_a_near_miss_is_told_the_nearest_choice(self) -> None:
        """For who writes golden examples by hand."""
        (fault,) = check_output(choice("refund", "invoice"), "Refund")

        assert "'refund'" in fault.description


class TestRegex:
    """A pattern that the whole answer matches."""

    @settings(max_examples=200, deadline=None)
    @given(
        source=st.sampled_from(["a|ab", "^a|b$", "(a|b)*c?", "[ab]{2,3}", "a.c", "(?:a|)b", r"\w+\s\d", "^abc$"]),
        sample=st.text("abc 1\n", max_size=5),
    )
    def test_is_anchored_at_both_ends(self, source: str, sample: str) -> None:
        """Unlike the `pattern` of JSON Schema, which is searched for; Python's `fullmatch` agrees."""
        expected = re.fullmatch(source.replace("^", "").replace("$", ""), sample, re.ASCII) is not None

        assert (not check_output(pattern(source), sample)) == expected

    def test_is_certain_and_says_how_it_was_read(self) -> None:
        """The note tells what ECMA-262 leaves open elsewhere."""
        lowered = lower(SPECS["regex"])

        assert lowered.guarantee is Guarantee.CERTAIN
        assert [(v.pointer, v.fate) for v in lowered.verdicts] == [("pattern", KeywordFate.ENFORCED)]
        assert "whole answer" in lowered.verdicts[0].note

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            ("", "is required"),
            ("(a", "missing ) at character 2"),
            (r"(a)\1", "a back reference is not supported at character 5"),
            ("(?=a)b", "look-around is not supported"),
            ("a)", "unbalanced ) at character 1"),
            ("\\x00", "matches no text"),
            ("a[\\x01-\\x04]", "matches no text"),
            ("a" * 2_001, "the limit is 2000"),
        ],
    )
    def test_what_cannot_be_guaranteed_is_refused_by_place(self, source: str, says: str) -> None:
        """Malformed, not regular, or without any text that could be written."""
        error = refusal(pattern(source))

        assert error.reason == "CONTRACT_UNSUPPORTED"
        assert [v.path for v in error.violations] == ["pattern"]
        assert says in error.violations[0].description

    def test_a_huge_one_is_refused_by_size(self) -> None:
        """Counted with its repeats written out, before anything is built."""
        error = refusal(pattern("((a{1,100}){1,100}){1,100}"))

        assert error.reason == "CONTRACT_TOO_LARGE"
        assert "1000000 places" in error.violations[0].description

    @pytest.mark.parametrize("source", ["(a?b?){2000}", "(a{0,3}){1000}", "a?" * 500, "((a?|b){0,30}){0,30}"])
    def test_one_that_lets_a_character_stand_anywhere_is_refused(self, source: str) -> None:
        """What cannot be empty is cheap to repeat; what can is refused before it takes a minute to compile."""
        error = refusal(pattern(source))

        assert error.reason == "CONTRACT_TOO_LARGE"
        assert "stand at" in error.violations[0].description

    @pytest.mark.parametrize(
        ("source", "places"),
        [(".{0,3999}", 1), ("(ab?)*", 1), ("a?b?c", 3), ("(a?b?){100}", 200), ("abc", 1), ("[ab]*a[ab]{9}", 2),
         ("a|bc|d?", 3), ("(a|bb)(a|bb)?", 2)],
    )  # fmt: skip
    def test_places_are_counted_where_a_character_may_stand(self, source: str, places: int) -> None:
        """Counted repeats of what cannot be empty are entered one at a time."""
        assert widest(parse_whole_pattern(source)) == places
        assert lower(pattern(source)).guarantee is Guarantee.CERTAIN


class TestText:
    """Plain text."""

    def test_promises_no_format_and_says_so(self) -> None:
        """The report of a style adapter must not look like that of a format."""
        bounded, open_ended = lower(text(4)), lower(text())

        assert bounded.guarantee is open_ended.guarantee is Guarantee.NONE
        assert [(v.pointer, v.fate) for v in bounded.verdicts] == [("max_chars", KeywordFate.ENFORCED)]
        assert [(v.pointer, v.fate) for v in open_ended.verdicts] == [("max_chars", KeywordFate.ANNOTATION)]
        assert all("no format is promised" in v.note for v in (*bounded.verdicts, *open_ended.verdicts))

    def test_counts_code_points_not_bytes(self) -> None:
        """Four emoji are sixteen bytes and four characters."""
        assert check_output(text(4), "😀" * 4) == ()
        (fault,) = check_output(text(4), "😀" * 5)
        assert fault.description == "has 5 characters, the limit is 4"

    @pytest.mark.parametrize("limit", [-1, 1_000_001])
    def test_a_limit_out_of_range_is_refused(self, limit: int) -> None:
        """By its field."""
        assert [v.path for v in refusal(text(limit)).violations] == ["max_chars"]
