"""JSON for people to read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.review.layout import laid_out

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class TestLaidOut:
    """`laid_out`."""

    @given(_VALUES.filter(lambda value: isinstance(value, dict | list)), st.sampled_from([None, 4, "\t"]))
    def test_is_what_python_would_write(self, value: object, indent: int | str | None) -> None:
        """From however the text was spaced, with two blanks a level."""
        text = json.dumps(value, indent=indent, ensure_ascii=False)

        assert laid_out(text) == json.dumps(value, indent=2, ensure_ascii=False)

    def test_keeps_what_reading_and_writing_would_change(self) -> None:
        """Spelling of numbers, escapes and repeated keys are the answer's own."""
        assert laid_out('{"a":1.50e1,"a":"\\u0041\\"","b":[ ]}') == (
            '{\n  "a": 1.50e1,\n  "a": "\\u0041\\"",\n  "b": []\n}'
        )

    @pytest.mark.parametrize(
        "text", ["", "plain", "SELECT 1", '"a, b"', "12", "{not json", "[1,]", "[" * 100_000, '{"a":1} and more']
    )
    def test_leaves_other_text_as_it_is(self, text: str) -> None:
        """Whatever is no object and no list."""
        assert laid_out(text) == text

    def test_of_deep_nesting_is_not_much_longer(self) -> None:
        """Indents have an end."""
        text = "[" * 500 + "]" * 500

        assert len(laid_out(text)) < 50 * len(text)
        assert json.loads(laid_out(text)) == json.loads(text)
