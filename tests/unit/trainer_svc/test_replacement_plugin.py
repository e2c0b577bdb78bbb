"""Personal data replaced that only the operator's finder knows."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pytest

from tests.unit.trainer_svc.replacement_bench import TEXT, Bench, WordFinder
from trainer_svc.curation.personal.base import PersonalSpan
from trainer_svc.curation.personal.finder import PATTERNS
from trainer_svc.curation.personal.plugin import JoinedFinder
from trainer_svc.domain.dataset import CheckedRow


class TestPluggedFinder:
    """Kinds that only the operator's finder knows."""

    def test_a_value_is_replaced_in_its_row_where_the_finder_misses_it(self) -> None:
        """In other rows the same letters may be another word."""

        class Capitals(WordFinder):
            def find(self, text: str) -> Sequence[PersonalSpan]:
                return super().find(text) if text.startswith("I am") else []

        first, second = Bench(finder=JoinedFinder(PATTERNS, Capitals("Will"))).replace(
            ("I am Will, will you?", {"name": "WILL"}), ("Will it rain", {"x": "Will"})
        )

        assert first is not None
        (name,) = set(re.findall(r"name-[a-z]{8}", first.input))
        assert first.input == f"I am {name}, {name} you?"
        assert json.loads(first.output) == {"name": name.upper()}
        assert second == CheckedRow(2, "Will it rain", '{"x": "Will"}')

    def test_overlapping_spans_are_one(self) -> None:
        """Nothing of either is left."""
        (row,) = Bench(TEXT, WordFinder("Ann Lee", "Lee Wood", "Ann")).replace(("ask Ann Lee Wood now", "x"))

        assert row is not None
        assert re.fullmatch("ask name-[a-z]{8} now", row.input)

    def test_values_that_hold_each_other_are_told_apart(self) -> None:
        """The longer one first."""
        (row,) = Bench(TEXT, WordFinder("Ann Lee", "Ann")).replace(("Ann Lee and Ann", "ann lee"))

        assert row is not None
        long, short = re.findall("name-[a-z]{8}", row.input)
        assert long != short
        assert row.output == long

    @pytest.mark.parametrize("name", ["a.*b(", "$1\\g<0>", "[x", "^", "Jos\u00e9 \U0001f600", "\ud800x", "田中"])
    def test_no_sign_of_a_value_is_special(self, name: str) -> None:
        """Not even half of a character."""
        (row,) = Bench(TEXT, WordFinder(name)).replace((f"see {name}, {name}!", "x"))

        assert row is not None
        assert re.fullmatch("see (name-[a-z]{8}), \\1!", row.input)

    def test_one_that_finds_its_own_placeholders_comes_to_an_end(self) -> None:
        """What is a known pseudonym is no find."""

        class Everything:
            kinds = ("a name",)

            def find(self, text: str) -> Sequence[PersonalSpan]:
                return [PersonalSpan("a name", 0, len(text))] if text else []

        (row,) = Bench(TEXT, Everything()).replace(("Ann", "Bob"))

        assert row is not None
        assert row.input != row.output

    def test_what_never_ends_drops_the_row(self) -> None:
        """After three rounds."""

        class Growing:
            kinds = ("a name",)

            def find(self, text: str) -> Sequence[PersonalSpan]:
                # The first word that it has not called a name yet: one at each reading.
                found = next((f for f in re.finditer(r"\S+", text) if "-" not in f[0]), None)
                return [PersonalSpan("a name", *found.span())] if found else []

        bench = Bench(TEXT, Growing())

        assert bench.replace(("a1 b1 c1 d1 e1", "x-y"), ("x-y", "x-y"))[0] is None
        assert bench.outcomes[0].message == "holds personal data still after it was replaced"

    def test_what_lies_outside_the_text_is_a_fault(self) -> None:
        """Of the finder."""

        class Wrong:
            kinds = ("a name",)

            def find(self, text: str) -> Sequence[PersonalSpan]:
                return [PersonalSpan("a name", 0, len(text) + 1)]

        with pytest.raises(ValueError, match="found a name at 0 to 2 of 1 characters"):
            Bench(TEXT, Wrong()).replace(("x", "y"))
