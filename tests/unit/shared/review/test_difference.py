"""What is marked in two texts."""

from hypothesis import given
from hypothesis import strategies as st

from shared.review import difference
from shared.review.difference import Segment, mark_differences

_TEXTS = st.text(alphabet="ab ,\n", max_size=40) | st.text(max_size=40)


def _marked(segments: list[Segment]) -> list[str]:
    return [segment.text for segment in segments if segment.is_different]


class TestMarkDifferences:
    """`mark_differences`."""

    @given(_TEXTS, _TEXTS)
    def test_loses_no_character(self, left: str, right: str) -> None:
        """Parts joined are the texts; what is not marked is the same on both sides, line ends aside."""
        ours, theirs = mark_differences(left, right)

        assert "".join(part.text for part in ours) == left
        assert "".join(part.text for part in theirs) == right
        common = ["".join("".join(p.text for p in side if not p.is_different).split()) for side in (ours, theirs)]
        assert common[0] == common[1]

    @given(_TEXTS)
    def test_marks_nothing_in_equal_texts(self, text: str) -> None:
        """Not even blanks."""
        assert _marked(mark_differences(text, text)[0]) == []

    def test_marks_whole_words(self) -> None:
        """A changed value, and one that only one text has."""
        ours, theirs = mark_differences('{"city": "Lisbon"}', '{"city": "Lisboa", "n": 4}')

        assert _marked(ours) == ["Lisbon"]
        assert _marked(theirs) == ["Lisboa", ', "n": 4']

    def test_never_marks_line_ends(self) -> None:
        """Nor the indents after them."""
        assert _marked(mark_differences("[]", "[\n  1\n]")[1]) == ["1"]

    def test_marks_nothing_in_texts_that_take_too_long(self) -> None:
        """They are shown whole."""
        long = "a " * difference._MAX_WORDS

        assert mark_differences(long, "b") == ([Segment(long, is_different=False)], [Segment("b", is_different=False)])
