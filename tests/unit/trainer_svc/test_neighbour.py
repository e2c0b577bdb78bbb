"""Texts that are nearly the same."""

from __future__ import annotations

import random
import string

import pytest

from trainer_svc.curation import neighbour
from trainer_svc.curation.neighbour import neighbours


@pytest.fixture(params=["all pairs", "hashed"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to find them."""
    if request.param == "hashed":
        monkeypatch.setattr(neighbour, "_MAX_STEPS", 0)


@pytest.mark.usefixtures("_way")
class TestNeighbours:
    """Which texts are told of which."""

    def test_finds_nearly_all_slips(self) -> None:
        """Next to none of the texts that one slip of the pen separates is missed, and nothing else is told."""
        drawn = random.Random(0)
        texts = ["".join(drawn.choices(string.ascii_lowercase + "   ", k=40)) for _ in range(300)]
        slipped = [text[:20] + "#" + text[21:] for text in texts]

        found = {place: near for place, near in neighbours(texts + slipped) if near}

        assert len(found) >= 297
        assert all(near == [place - 300] for place, near in found.items())

    def test_other_numbers_make_another_text(self) -> None:
        """Invoices differ in little else."""
        texts = [
            "invoice of miller, total 12 euro",
            "invoice of miller, total 13 euro",
            "invoice of miler, total 12 euro",
        ]

        assert [(place, near) for place, near in neighbours(texts) if near] == [(2, [0])]

    def test_tells_the_nearest_first(self) -> None:
        """Who looks at some of them sees those that matter."""
        text = "a question of some length about a table"
        texts = [text.replace("table", "tables at"), text.replace("question", "questian"), text]

        assert dict(neighbours(texts))[2] == [1, 0]

    def test_tells_a_bounded_number(self) -> None:
        """Where all are alike."""
        texts = [f"please book a table at the restaurant called {a}{b}" for a in "abcdefghijkl" for b in "mnopqrstuvwx"]

        told = [len(near) for _, near in neighbours(texts)]

        assert max(told) == 50

    @pytest.mark.parametrize("text", ["", "a", "\ud800", "\u00e9", "\x00", "x" * 10_000])
    def test_takes_any_text(self, text: str) -> None:
        """Short, long and ill-formed ones."""
        assert [place for place, _ in neighbours([text, text + "b"])] == [0, 1]
