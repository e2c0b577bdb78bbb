"""Prompts on their way to whoever answers them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer_svc.engine.prompt_set import PromptSet, read_prompt_sets, write_prompt_sets

_CONTEXT = 64


def _set(*lengths: int, output_tokens: int = 8, is_constrained: bool = True) -> PromptSet:
    prompts = tuple(tuple(range(length)) for length in lengths)
    return PromptSet("published.answers", "/runs/adapter", prompts, output_tokens, is_constrained)


class TestBudgets:
    """Most tokens of each answer."""

    def test_is_what_was_asked_for(self) -> None:
        """Where there is room."""
        assert _set(3, 40).budgets(5, _CONTEXT) == [8, 8]

    def test_is_the_shortest_answer_where_that_is_longer(self) -> None:
        """Else none could keep the contract; a free answer keeps none."""
        assert _set(3).budgets(20, _CONTEXT) == [20]
        assert _set(3, is_constrained=False).budgets(20, _CONTEXT) == [8]

    @pytest.mark.parametrize(("length", "budget"), [(58, 6), (59, 5), (60, 0), (64, 0), (90, 0)])
    def test_ends_with_the_context(self, length: int, budget: int) -> None:
        """A prompt that leaves less room than the shortest answer gets none."""
        assert _set(length).budgets(5, _CONTEXT) == [budget]

    @given(st.integers(0, 90), st.integers(1, 90), st.integers(1, 90), st.booleans())
    def test_is_none_or_room_for_an_answer(
        self, length: int, output_tokens: int, min_tokens: int, is_constrained: bool
    ) -> None:
        """Never more than the context has left, never less than an answer takes."""
        asked = _set(length, output_tokens=output_tokens, is_constrained=is_constrained)

        (budget,) = asked.budgets(min_tokens, _CONTEXT)

        least = min_tokens if is_constrained else 1
        assert budget == 0 or least <= budget <= _CONTEXT - length
        assert (budget == 0) == (length + least > _CONTEXT)


class TestFile:
    """By which the child process hears of them."""

    def test_has_what_was_written(self, tmp_path: Path) -> None:
        """All of it."""
        sets = [_set(3, 0), PromptSet("base.answers", "", ((1, 2),), 5, is_constrained=False)]

        write_prompt_sets(tmp_path / "sets.json", sets)

        assert read_prompt_sets(tmp_path / "sets.json") == tuple(sets)

    def test_may_be_missing(self, tmp_path: Path) -> None:
        """A package can be proved without any."""
        assert read_prompt_sets(tmp_path / "sets.json") == ()
