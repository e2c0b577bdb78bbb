"""Where an answer differs from the golden output, in words that stay whole."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from shared.report.difference import Span, SpanKind, differences
from shared.report.text import laid_out

_TEXT = st.text(alphabet='ab 1.-"\n{},é', max_size=60)


def _side(spans: tuple[Span, ...], kind: SpanKind) -> str:
    return "".join(span.text for span in spans if span.kind in (SpanKind.BOTH, kind))


def _only(spans: tuple[Span, ...], kind: SpanKind) -> list[str]:
    return [span.text for span in spans if span.kind is kind]


class TestDifferences:
    """Of two texts."""

    @given(_TEXT, _TEXT)
    def test_hold_both_texts(self, golden: str, answer: str) -> None:
        """Nothing is lost or made up: each side reads as it was."""
        spans = differences(golden, answer)

        assert _side(spans, SpanKind.GOLDEN) == golden
        assert _side(spans, SpanKind.ANSWER) == answer

    @given(_TEXT)
    def test_of_equal_texts_are_none(self, text: str) -> None:
        """All of it is in both."""
        assert {span.kind for span in differences(text, text)} <= {SpanKind.BOTH}

    def test_keep_numbers_and_dates_whole(self) -> None:
        """6228.97 is not 6228.9 with another digit."""
        spans = differences("due 2024-10-04, 6228.97 EUR", "due 2024-09-04, 6228.17 EUR")

        assert _only(spans, SpanKind.GOLDEN) == ["2024-10-04", "6228.97"]
        assert _only(spans, SpanKind.ANSWER) == ["2024-09-04", "6228.17"]

    def test_do_not_match_values_of_different_members(self) -> None:
        """A line that is missing is missing as a whole, even where its words stand in another line."""
        golden = '{\n  "first": "oak board",\n  "second": "pine board"\n}'
        answer = '{\n  "second": "pine board"\n}'

        assert _only(differences(golden, answer), SpanKind.GOLDEN) == ['  "first": "oak board",\n']

    def test_of_long_texts_come_soon(self) -> None:
        """4,000 different words a side, which a quadratic search in Python would take minutes for."""
        spans = differences("a b " * 2_000, "b c " * 2_000)

        assert _side(spans, SpanKind.ANSWER) == "b c " * 2_000


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


class TestLayout:
    """Of JSON for people."""

    @given(_JSON, st.booleans())
    def test_changes_blanks_alone(self, value: object, is_ascii: bool) -> None:
        """The same value, with each token as it was written."""
        text = json.dumps(value, ensure_ascii=is_ascii)

        assert json.loads(laid_out(text)) == value
        assert "".join(laid_out(text).split()) == "".join(text.split())

    def test_has_a_line_for_each_member(self) -> None:
        """Empty lists and objects take none; numbers keep their digits."""
        assert laid_out('{"a":[1.50,{}],"b":[]}') == '{\n  "a": [\n    1.50,\n    {}\n  ],\n  "b": []\n}'

    def test_leaves_other_text_alone(self) -> None:
        """What does not parse, what is a single value, and what nests without end."""
        for text in ("SELECT {a: [b", '"a {b"', '{"a": 1} and more', "[" * 100_000):
            assert laid_out(text) == text
