"""Which rows and requests of a step are not finite."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference_svc.engine.finite_worker import non_finite_rows, owners

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]  # importing torch takes seconds
_TYPES = [torch.float32, torch.bfloat16, torch.float16]
_BAD = [math.nan, math.inf, -math.inf]


class TestNonFiniteRows:
    """Rows with NaN or an infinity."""

    @given(
        rows=st.integers(1, 6),
        columns=st.integers(1, 300),
        dtype=st.sampled_from(_TYPES),
        bad=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 299), st.sampled_from(_BAD)), max_size=4),
        seed=st.integers(0, 2**31),
    )
    def test_are_found_wherever_they_are(
        self, rows: int, columns: int, dtype: torch.dtype, bad: list[tuple[int, int, float]], seed: int
    ) -> None:
        """As an element by element look finds them, opposite infinities in one row included."""
        values = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)).mul(100).to(dtype)
        for row, column, value in bad:
            values[row % rows, column % columns] = value

        expected = [row for row in range(rows) if not values[row].isfinite().all()]

        assert non_finite_rows(values) == expected

    @pytest.mark.parametrize("dtype", _TYPES)
    def test_are_none_where_large_numbers_add_up(self, dtype: torch.dtype) -> None:
        """A vocabulary of the largest that any model's logits and hidden states reach overflows no sum."""
        values = torch.full((2, 131_072), 6e4).to(dtype)

        assert non_finite_rows(values) == []

    def test_are_none_of_nothing(self) -> None:
        """A step without tokens."""
        assert non_finite_rows(torch.zeros(0, 8)) == []


class TestOwners:
    """Requests by their tokens."""

    @given(st.data(), st.lists(st.integers(1, 5), min_size=1, max_size=6))
    def test_are_those_whose_tokens_lie_there(self, data: st.DataObject, counts: list[int]) -> None:
        """`counts` tokens each, one request after another."""
        owner = [request for request, count in enumerate(counts) for _ in range(count)]
        starts = [sum(counts[:place]) for place in range(len(counts) + 1)]
        tokens = data.draw(st.lists(st.integers(0, len(owner) - 1), unique=True))

        assert owners(tokens, starts) == {owner[token] for token in tokens}
