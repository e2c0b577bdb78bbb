"""Personal data replaced in rows made to cost time or memory."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest

from shared.errors import InvalidInput
from tests.steps import steps_of
from tests.unit.trainer_svc.replacement_bench import TEXT, Bench
from trainer_svc.curation.pseudonym import replacement as module


class TestHostileRows:
    """An upload made to cost time or memory."""

    @pytest.mark.parametrize(
        "unit", ["a{}@b.de ", "{}@b.de,", "10.{}.1.2 ", "DE89370400440532013000 ", "a.a.a.a.a.a@b.de a a a a a a a "]
    )
    @pytest.mark.timeout(60)
    def test_thousands_of_finds_take_work_in_proportion(self, unit: str) -> None:
        """Eight times as many take no 64 times as many steps, and not even sixteen."""
        few, many = ("".join(unit.format(number % 250) for number in range(count)) for count in (150, 1_200))

        steps = [steps_of(lambda text=text: Bench(TEXT).replace((text, '{"held": "out"'))) for text in (few, many)]

        assert steps[1] < 16 * steps[0]

    def test_more_finds_than_can_be_held_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is replaced then."""
        monkeypatch.setattr(module, "MAX_FINDS", 2)

        with pytest.raises(InvalidInput, match="more than 2 finds"):
            Bench(TEXT).replace(("a@b.de b@b.de c@b.de", "x"))

    def test_rows_that_take_too_long_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Rather than left half done."""
        monkeypatch.setattr(module, "MAX_SECONDS", -1.0)

        with pytest.raises(InvalidInput, match="takes over"):
            Bench(TEXT).replace(("a@b.de", "x"))

    @pytest.mark.parametrize(
        ("text", "output"), [("x", [["fine"] * 300]), ("a@b.de " * 300, "x")], ids=["texts", "finds"]
    )
    def test_one_row_that_takes_too_long_is_refused_within_it(
        self, monkeypatch: pytest.MonkeyPatch, text: str, output: object
    ) -> None:
        """Its texts and its finds may be thousands."""
        clock = itertools.count()
        monkeypatch.setattr(module, "MAX_SECONDS", 250.0)
        monkeypatch.setattr(module, "time", SimpleNamespace(thread_time=lambda: next(clock)))

        with pytest.raises(InvalidInput, match="takes over 250 s"):
            Bench().replace((text, output))

    def test_deep_outputs_come_to_an_end(self) -> None:
        """As deep as they can be read."""
        (row,) = Bench().replace(("x", "[" * 500 + '"ann@acme.com"' + "]" * 500))

        assert row is None or "acme" not in row.output
