"""pattern, length and format met inside the JSON string encoding: against the `jsonschema` library and `re`."""

from __future__ import annotations

import json
import re
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from shared.contracts.grammar.expression import ANYTHING, Expression, Text, alternation
from shared.contracts.grammar.language import finite_texts, intersect
from shared.contracts.grammar.machine import Machine
from shared.contracts.grammar.pattern import parse_pattern
from shared.contracts.json_schema.encoding import quoted
from shared.contracts.json_schema.formats import PATTERNS as FORMATS
from shared.contracts.report import KeywordFate
from tests.unit.contracts.json_rewrite import PER_EXAMPLE, Family, FamilyChecks, RewriteCase, python_pattern, seeded

Json = Any  # JSON values
Schema = dict[str, Json]

# What JSON writes with an escape, what it could but must not, and characters beyond the basic plane.
_LETTERS = 'ab1"\\/\n\t\b\f\ré€😀𝄞\u2028\x7f'
_TEXTS = st.text(alphabet=_LETTERS, max_size=5)
_POOL = tuple("".join(chars) for count in range(3) for chars in product('a1"\\\né😀', repeat=count))
_MORE = ("aaa", "a1a", '"""', "😀😀😀", "a😀b", "aab1", "é\n1", "\u2028", "/", "\t", "ab", "ab1", "b", "😀a1\\", "aaaa")
_PATTERNS = st.sampled_from([
    "^a", "1$", "^[a1]*$", "^[^a]*$", '"', "^\\\\", "^.{2}$", "^(a|é)+$", "^[\\s\\S]*\\n", '^["\\\\]{1,3}$', "a.?1",
    "^(a|ab)(1|b1)?$", "[^\\x00-\\x7f]", "^$",
])  # fmt: skip
_LENGTHS = {"minLength": st.integers(0, 3), "maxLength": st.integers(0, 3)}


def _pool(schema: Schema) -> tuple[Json, ...]:
    return (*_POOL, *_MORE, None, 1, ["a"])


def _strings(**more: st.SearchStrategy[Json]) -> st.SearchStrategy[Schema]:
    """Strings of some of the keywords, at least one of them."""
    schemas = st.fixed_dictionaries({}, optional=more)
    return schemas.filter(bool).map(lambda schema: {"type": "string", **schema})


def _is_read_differently(pattern: str, text: str) -> bool:
    """Whether Python finds a pattern where ECMA-262 does not: `$` before a last line break, `.` in U+2028."""
    return bool(re.search(pattern, text)) != bool(re.search(python_pattern(pattern), text))


FAMILIES = {
    "length": Family(_strings(**_LENGTHS), _pool),
    "pattern": Family(_strings(pattern=_PATTERNS), _pool),
    "pattern_and_length": Family(_strings(pattern=_PATTERNS, **_LENGTHS), _pool),
    "patterns_and_length": Family(
        # The first leaves something to the second: most pairs of all of them have no text in common.
        st.tuples(st.sampled_from(["^a", "^[^b]*$", "^[\\s\\S]{2}", "1"]), _PATTERNS, st.integers(1, 3)).map(
            lambda two: {"type": "string", "allOf": [{"pattern": two[0]}, {"pattern": two[1]}], "maxLength": two[2]}),
        _pool),
    "not_pattern": Family(
        _PATTERNS.map(lambda pattern: {"type": "string", "not": {"pattern": pattern}}),
        lambda schema: [text for text in _POOL if not _is_read_differently(schema["not"]["pattern"], text)]),
    "not_length": Family(st.one_of(
        st.integers(1, 3).map(lambda size: {"type": "string", "not": {"minLength": size}}),
        st.integers(0, 2).map(lambda size: {"type": "string", "not": {"maxLength": size}})), _pool),
    "pattern_without_values": Family(
        st.tuples(_strings(pattern=_PATTERNS, **_LENGTHS), st.lists(st.sampled_from(_POOL), min_size=1, max_size=4))
        .map(lambda two: {**two[0], "not": {"enum": two[1]}}), _pool),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
class TestRewriteOfStrings(FamilyChecks):
    """One family for each rewrite, named after it."""


class TestReaders:
    """Python's `re` and ECMA-262 find a few patterns differently."""

    @PER_EXAMPLE
    @given(pattern=_PATTERNS, text=st.sampled_from((*_POOL, *_MORE)))
    def test_what_they_read_differently_is_never_generated(self, pattern: str, text: str) -> None:
        """Neither for the pattern nor for its negation: whoever validates the answer finds it valid."""
        schemas = ({"pattern": pattern}, {"not": {"pattern": pattern}})
        generated = [RewriteCase({"type": "string", **schema}).is_generated(text) for schema in schemas]

        is_found = bool(re.search(pattern, text))
        agreed = [is_found, not is_found]
        assert generated == ([False, False] if _is_read_differently(pattern, text) else agreed)


class TestEncoding:
    """`quoted`: a language of values as the language of their JSON texts."""

    @PER_EXAMPLE
    @given(pattern=_PATTERNS, text=_TEXTS)
    def test_the_one_json_text_of_a_value_is_in_the_language(self, pattern: str, text: str) -> None:
        """As `json.dumps(ensure_ascii=False)` writes it, iff the value is in the language."""
        language = parse_pattern(pattern)
        expected = Machine.of(language).accepts(text)

        machine = Machine.of(quoted(language))

        assert machine.accepts(json.dumps(text, ensure_ascii=False)) == expected
        if json.dumps(text) != json.dumps(text, ensure_ascii=False):
            assert not machine.accepts(json.dumps(text))

    @PER_EXAMPLE
    @given(text=st.text(alphabet='a"\\nbu0', max_size=6))
    def test_whatever_is_in_the_language_is_json(self, text: str) -> None:
        """A quoted text that the language of all strings holds is a JSON string in its one spelling."""
        found = f'"{text}"'
        if Machine.of(quoted(ANYTHING)).accepts(found):
            assert json.dumps(json.loads(found), ensure_ascii=False) == found


# Each is anchored on one side: what is found anywhere, twice, has automata too large to be written back.
_ANCHORED = st.sampled_from(["^a", "1$", "^[a1]*$", "^[^a]*$", "^\\\\", "^.{2}$", '^["\\\\]{1,3}$', "^$", "^(a|é)+$"])


class TestIntersect:
    """`intersect`: languages met, others taken out, within a length."""

    @PER_EXAMPLE
    @given(
        wanted=st.lists(_ANCHORED, max_size=2),
        unwanted=st.lists(_ANCHORED, max_size=2),
        bounds=st.tuples(st.integers(0, 3), st.none() | st.integers(0, 4)),
        texts=st.lists(_TEXTS | st.sampled_from(_MORE), min_size=5, max_size=8),
    )
    def test_holds_what_every_language_holds_and_none_of_the_others(
        self, wanted: list[str], unwanted: list[str], bounds: tuple[int, int | None], texts: list[str]
    ) -> None:
        """Python's `re` and `len` count code points, as JSON Schema does."""
        least, most = bounds
        met = intersect([parse_pattern(p) for p in wanted], least, most, [parse_pattern(p) for p in unwanted])
        machine = Machine.of(met)

        for text in texts:
            expected = least <= len(text) and (most is None or len(text) <= most)
            expected &= all(_is_found(pattern, text) for pattern in wanted)
            expected &= not any(_is_found(pattern, text) for pattern in unwanted)
            assert machine.accepts(text) == expected, text

    @PER_EXAMPLE
    @given(texts=st.sets(st.text(alphabet="ab", max_size=3)), other=st.sets(st.text(alphabet="ab", max_size=3)))
    def test_the_texts_of_a_finite_language_are_listed(self, texts: set[str], other: set[str]) -> None:
        """All of them once; None above the limit."""
        left = intersect([_listed(texts)], without=[_listed(other)])

        assert sorted(finite_texts(left, 100) or ()) == sorted(texts - other)
        if len(texts - other) > 3:
            assert finite_texts(left, 3) is None


def _listed(texts: set[str]) -> Expression:
    return alternation(Text(text) for text in sorted(texts))


def _is_found(pattern: str, text: str) -> bool:
    return re.search(python_pattern(pattern), text) is not None


_DIGITS = st.sampled_from("0123456789")


def _edits(text: str) -> st.SearchStrategy[str]:
    """The text with one character replaced, left out or doubled: on the boundary of its format."""
    at = st.integers(0, len(text) - 1)
    return st.one_of(
        st.just(text),
        st.tuples(at, _DIGITS | st.sampled_from(":.-/aZ ")).map(lambda e: text[: e[0]] + e[1] + text[e[0] + 1 :]),
        at.map(lambda i: text[:i] + text[i + 1 :]),
        at.map(lambda i: text[:i] + text[i] + text[i:]),
    )


_EXAMPLES = {
    "date": ["2024-02-29", "1900-02-28", "2023-12-31", "0001-01-01"],
    "ipv4": ["127.0.0.1", "255.249.199.10"],
    "ipv6": ["::1", "1:2:3:4:5:6:7:8", "fe80::1:2", "::ffff:10.0.0.1"],
    "uuid": ["123e4567-e89b-12d3-a456-426614174000"],
    "email": ["ann@example.org", "a.b+c@x-1.co"],
    "json-pointer": ["/a~1b/0", ""],
    "duration": ["P1Y2M3D", "PT1H30M", "P2W"],
    "time": ["23:59:59Z", "00:00:00.5+01:30"],
    "date-time": ["2024-02-29T23:59:59Z"],
}
_EXACT = ("date", "ipv4", "ipv6")
"""Formats that the library's own checkers decide as we do; of the others it accepts more than is generated."""

_TOO_MANY_LENGTHS = ("ipv6", "email", "json-pointer", "duration")


@pytest.mark.parametrize("name", _EXAMPLES)
class TestFormat:
    """A `format` met with a length and a pattern, in the opinion of the library's own format checkers."""

    @PER_EXAMPLE
    @given(data=st.data())
    def test_what_is_generated_is_of_the_format(self, name: str, data: st.DataObject) -> None:
        """Near texts of the format: none that the checkers refuse is generated, and every exact one is."""
        case = RewriteCase({"type": "string", "format": name})
        library = Draft202012Validator({"format": name}, format_checker=Draft202012Validator.FORMAT_CHECKER)
        text = data.draw(st.sampled_from(_EXAMPLES[name]).filter(bool).flatmap(_edits))

        assert case.is_certain
        if name in _EXACT:
            assert case.is_generated(text) == library.is_valid(text)
        assert library.is_valid(text) or not case.is_generated(text)

    def test_a_length_beside_it_is_held_or_said_to_be_checked(self, name: str) -> None:
        """Of four formats the texts of up to 40 characters are no small language: that keyword alone is checked."""
        case = RewriteCase({"type": "string", "format": name, "maxLength": 40})
        checked = [verdict.pointer for verdict in case.lowered.verdicts if verdict.fate is KeywordFate.CHECKED]

        assert checked == (["/maxLength"] if name in _TOO_MANY_LENGTHS else [])
        assert case.check_derivations(seeded(name), 30) == 30

    def test_its_examples_are_generated(self, name: str) -> None:
        """All of them, as where a pattern that each of them matches is met with the format."""
        case = RewriteCase({"type": "string", "format": name})
        both = RewriteCase({"type": "string", "format": name, "pattern": "[0-9a-zA-Z]"})

        assert name in FORMATS
        assert [text for text in _EXAMPLES[name] if not case.is_generated(text)] == []
        assert [text for text in _EXAMPLES[name] if text and not both.is_generated(text)] == []
