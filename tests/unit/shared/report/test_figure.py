"""How figures are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.report.figure import Figures, percent_text
from tests.unit.shared.report.filled import filled_source

_FIGURES = Figures(filled_source().roots)


class TestPercent:
    """A share in percent."""

    @pytest.mark.parametrize(
        ("share", "text"),
        [
            (0.0, "0"),
            (1.0, "100"),
            (0.46, "46.0"),
            (0.12345, "12.3"),
            (0.99999, "99.9"),
            (0.00001, "0.1"),
            (-0.5, "\u221250.0"),
        ],
    )
    def test_is_written(self, share: float, text: str) -> None:
        """One digit after the point; none and all only where it is none and all."""
        assert percent_text(share) == f"{text}\u202f%"

    @given(st.floats(0, 1))
    def test_is_near_its_share(self, share: float) -> None:
        """Within a tenth of a percent."""
        assert abs(float(percent_text(share).rstrip("%\u202f")) - share * 100) <= 0.1 + 1e-9


class TestPath:
    """Of a figure."""

    @pytest.mark.parametrize("path", ["evaluation.nothing", "nowhere", "evaluation.checkpoints[0].constrained.scores"])
    def test_that_leads_nowhere_is_an_error(self, path: str) -> None:
        """A template cannot make a figure up."""
        with pytest.raises(KeyError):
            _FIGURES.value(path)

    def test_tells_whether_a_field_is_set(self) -> None:
        """Also through lists, and where the message itself is absent."""
        absent = Figures(filled_source(savings=None).roots)

        assert _FIGURES.has("evaluation.checkpoints[1].constrained.rouge_l")
        assert _FIGURES.has("savings.saving")
        assert not _FIGURES.has("evaluation.no_such_field")
        assert not absent.has("savings.break_even.day_count")


class TestWriting:
    """Of values that are no shares."""

    def test_says_names_in_words(self) -> None:
        """Enums without their prefix."""
        assert _FIGURES.word("job.spec.initialization").text == "kaiming"

    def test_keeps_settings_to_the_last_digit(self) -> None:
        """What was set is what is read."""
        assert _FIGURES.setting("job.spec.learning_rate").text == repr(filled_source().job.spec.learning_rate)

    def test_escapes_itself(self) -> None:
        """In text and in attributes."""
        source = filled_source()
        source.revision.digest = "\"><b>'"

        html = Figures(source.roots).text("revision.digest").__html__()

        assert "<b>" not in html
        assert html.count('"') == 6
