"""Patterns and their intersections against Python's `re`."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.grammar.language import intersect
from shared.contracts.grammar.machine import Machine, TooComplex
from shared.contracts.grammar.pattern import PatternError, parse_pattern, parse_whole_pattern

texts = st.text(alphabet='abc019 _-"\\\n\tZé', max_size=9)
PATTERNS = [
    "^[a-z]+$", "a", "^a|b$", "(^a|b$)", "^(a|bc)*$", "[0-9]{2}", "^[^a]*$", r"^\w+\s\S$", r"\d", r"^[\s\S]{2,4}$",
    r"^\D\W", "^(?:ab?){2,}$", "^a{2}b{1,}c{0,2}$", "", "^$", "^(?P<x>)$", "^.*$", r"^[\]a\\-]+$", r'^["]', "a??b",
    "^[-a]$", "(a|(b|c0))1", "^((a))$|^b", r"^\x61\u0062$", "[^\\n]", "^(a|)b$",
]  # fmt: skip
INNER_ANCHORS = [
    "a^b", "a$b", "$^", "(^|1)a(1|$)", "^([^1]+(1|$)){2,}$", "(^a)*b", "((^|b)a)+$", "(?:^a|b$)?1", "(a|^)(b|$)",
    "^^a$$", "((^a$|b)){1,2}", "(a$)+|1", "((^a|b?)){2,3}1", "(a|b$)(^|b)", "b*^a", "a$b*", "(^(^a|b$)$)|1a",
]  # fmt: skip


def found(pattern: str, text: str) -> bool:
    r"""Whether every reader finds the pattern: `\d`, `\w` and `\s` read as ASCII and as Unicode.

    Python's `$` also matches before a last line break; ECMA-262's does not.
    """
    python = pattern.replace("$", r"\Z")
    return all(re.search(python, text, flags) is not None for flags in (re.ASCII, re.UNICODE))


class TestParsePattern:
    """The language of a pattern."""

    @settings(max_examples=400, deadline=None)
    @given(pattern=st.sampled_from([p for p in PATTERNS if "(?P" not in p]), text=texts)
    def test_agrees_with_re_search(self, pattern: str, text: str) -> None:
        """A text is in the language iff every reader finds the pattern in it."""
        assert Machine.of(parse_pattern(pattern)).accepts(text) == found(pattern, text)

    @pytest.mark.parametrize(
        "pattern",
        [
            "(?=a)b", "(?!a)b",
            "(?<=a)b", "(?<!a)b", r"(a)\1", r"\bword\b", "a{1,2", "(a", "[a", "a**", "(^|a)*",
            r"\p{L}", "[z-a]", ")", "*", "[a-\\d]", r"\k<a>", "a{3,2}", r"\x6", "(?i)a", "x" * 3000,
            "(" * 50 + ")" * 50,
            "a{20000}", "\\", "(?P<a>b)", "]", "{", "((" * 14 + "^a|b" + "){9}){9}" * 14,
        ],
    )  # fmt: skip
    def test_refuses_what_is_not_regular_or_malformed(self, pattern: str) -> None:
        """Look-around, back references, boundaries, repeated anchors and broken syntax are refused with a place."""
        with pytest.raises(PatternError):
            parse_pattern(pattern)

    @pytest.mark.parametrize("pattern", INNER_ANCHORS)
    def test_anchors_hold_where_a_text_begins_and_ends(self, pattern: str) -> None:
        """Wherever they stand in the pattern: every text of up to five characters is told as `re` tells it."""
        inside, whole = Machine.of(parse_pattern(pattern)), Machine.of(parse_whole_pattern(pattern))

        for text in ("".join(letters) for size in range(6) for letters in product("ab1", repeat=size)):
            assert inside.accepts(text) == found(pattern, text)
            assert whole.accepts(text) == bool(re.fullmatch(pattern.replace("$", r"\Z"), text))

    def test_a_shorthand_holds_only_what_every_reader_agrees_on(self) -> None:
        r"""`\d` is ASCII and `\D` excludes all digits of Unicode: ECMA-262 and Python both accept our texts."""
        digit, other = Machine.of(parse_pattern(r"^\d$")), Machine.of(parse_pattern(r"^\D$"))

        assert digit.accepts("7")
        assert not digit.accepts("٣")
        assert not other.accepts("٣")
        assert other.accepts("x")

    @pytest.mark.parametrize("pattern", [r"^[\s\S]$", r"^[\D\d]$", r"^[\w\W]$"])
    @pytest.mark.parametrize("text", ["\ufeff", "\x85", "๓", "é", "1", " "])
    def test_two_halves_are_the_whole_for_every_reader(self, pattern: str, text: str) -> None:
        r"""Readers disagree about the byte order mark and Thai digits, but not about `[\s\S]`, which is anything."""
        assert Machine.of(parse_pattern(pattern)).accepts(text)

    @settings(max_examples=300, deadline=None)
    @given(
        pattern=st.sampled_from([p for p in PATTERNS if "(?P" not in p]),
        text=texts | st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=3),
    )
    def test_read_widely_it_misses_no_reader(self, pattern: str, text: str) -> None:
        """A text in which Python or ECMA-262 finds the pattern is in the wide language; the other one is part of it."""
        wide = Machine.of(parse_pattern(pattern, wide=True))
        readings = [re.search(pattern, text, flags) for flags in (re.ASCII, re.UNICODE)]

        assert wide.accepts(text) or not any(readings)
        assert wide.accepts(text) or not Machine.of(parse_pattern(pattern)).accepts(text)

    @pytest.mark.parametrize(
        ("pattern", "text"), [("^a$", "a\n"), ("(^a|b$)", "b\n"), ("^.$", "\r"), (r"^\d", "٣"), (r"(\s|\S)", "\ufeff")]
    )
    def test_what_one_reader_finds_is_found_widely_only(self, pattern: str, text: str) -> None:
        """It is neither generated for the pattern nor for its negation."""
        assert not Machine.of(parse_pattern(pattern)).accepts(text)
        assert Machine.of(parse_pattern(pattern, wide=True)).accepts(text)


class TestIntersect:
    """Patterns with lengths and with each other."""

    @settings(max_examples=300, deadline=None)
    @given(
        pattern=st.sampled_from([p for p in PATTERNS if "(?P" not in p]),
        bounds=st.tuples(st.integers(0, 4), st.none() | st.integers(0, 5)),
        text=texts,
    )
    def test_is_pattern_and_length(self, pattern: str, bounds: tuple[int, int | None], text: str) -> None:
        """A text is in the intersection iff it matches and its length fits."""
        least, most = bounds
        try:
            both = intersect([parse_pattern(pattern)], least, most)
        except TooComplex:
            return

        expected = found(pattern, text) and least <= len(text)
        expected &= most is None or len(text) <= most

        assert Machine.of(both).accepts(text) == expected

    @settings(max_examples=100, deadline=None)
    @given(pair=st.tuples(*[st.sampled_from(["^[ab]*$", "a", "^.{1,3}$", "b$", "^(a|b|c)+$"])] * 2), text=texts)
    def test_is_both_patterns(self, pair: tuple[str, str], text: str) -> None:
        """A text is in the intersection of two patterns iff both are found in it."""
        both = intersect([parse_pattern(pattern) for pattern in pair], 0, None)

        expected = all(found(pattern, text) for pattern in pair)

        assert Machine.of(both).accepts(text) == expected

    def test_gives_up_with_a_reason(self) -> None:
        """An intersection that would explode says so instead of taking for ever."""
        with pytest.raises(TooComplex):
            intersect([parse_pattern("^[ab]*a[ab]{18}$"), parse_pattern("b[ab]{12}$")], 0, None)
