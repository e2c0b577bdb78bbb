"""Which rows share a step."""

from __future__ import annotations

import random
from itertools import chain

import pytest

from trainer_svc.curation.compiled_example import IGNORED, Example
from trainer_svc.engine.batching import LengthGroupedSampler, collate

pytestmark = pytest.mark.engine  # imports torch

LENGTHS = [random.Random(row).randint(20, 400) for row in range(503)]
SIZE = 8


def _epoch(epoch: int, lengths: list[int] = LENGTHS, seed: int = 0) -> list[list[int]]:
    sampler = LengthGroupedSampler(lengths, SIZE, seed)
    sampler.set_epoch(epoch)
    order = list(sampler)
    return [order[i : i + SIZE] for i in range(0, len(order), SIZE)]


def _padding(batches: list[list[int]], lengths: list[int] = LENGTHS) -> float:
    """Share of a run's tokens that is padding."""
    paid = sum(max(lengths[row] for row in batch) * len(batch) for batch in batches)
    return 1 - sum(lengths) / paid


class TestLengthGroupedSampler:
    """The order of rows in an epoch."""

    def test_every_row_comes_once(self) -> None:
        """Also where the last batch is incomplete, and in a set smaller than a batch."""
        assert sorted(chain(*_epoch(3))) == list(range(len(LENGTHS)))
        assert sorted(chain(*_epoch(0, LENGTHS[:3]))) == [0, 1, 2]

    def test_batches_hold_rows_of_like_length(self) -> None:
        """Random batches of these rows would be padding by 40 %."""
        order = list(range(len(LENGTHS)))
        shuffled = [order[i : i + SIZE] for i in range(0, len(order), SIZE)]

        assert _padding(shuffled) > 0.35
        assert _padding(_epoch(1)) < 0.22

    def test_the_order_says_nothing_of_length(self) -> None:
        """Second halves of epochs are as long as first ones: sorted batches would end with the shortest rows."""
        first = second = 0
        for epoch in range(1, 21):
            rows = list(chain(*_epoch(epoch)))
            half = len(rows) // 2
            first, second = (
                total + sum(LENGTHS[row] for row in part)
                for total, part in ((first, rows[:half]), (second, rows[half:]))
            )
        assert 0.95 < first / second < 1.05

    def test_the_first_batch_of_a_run_is_the_widest(self) -> None:
        """What does not fit into memory shows in the first step, whatever the seed."""
        for seed in range(8):
            assert max(LENGTHS[row] for row in _epoch(0, seed=seed)[0]) == max(LENGTHS)

    def test_depends_on_epoch_and_seed_alone(self) -> None:
        """A resumed run sees what the uninterrupted one would have seen."""
        assert _epoch(2) == _epoch(2)
        assert _epoch(2) != _epoch(3)
        assert _epoch(2) != _epoch(2, seed=1)


class TestCollate:
    """Rows as tensors."""

    def test_pads_with_tokens_that_are_neither_read_nor_learned(self) -> None:
        """Rows end in padding that the mask and the labels leave out, up to one of few widths."""
        longest = tuple(range(5, 12))
        batch = collate([Example(longest, (IGNORED, *longest[1:]), 1), Example((8, 9), (IGNORED, 9), 1)])

        assert batch["input_ids"].tolist() == [[*longest, 0], [8, 9, *[0] * 6]]
        assert batch["labels"].tolist() == [[IGNORED, *longest[1:], IGNORED], [IGNORED, 9, *[IGNORED] * 6]]
        assert batch["attention_mask"].tolist() == [[1] * 7 + [0], [1, 1, *[0] * 6]]

    @pytest.mark.parametrize(("longest", "width"), [(1, 8), (8, 8), (9, 16), (2048, 2048)])
    def test_widths_are_multiples_of_eight(self, longest: int, width: int) -> None:
        """And a batch that has such a width is not made wider."""
        assert collate([Example((1,) * longest, (1,) * longest, 0)])["input_ids"].shape == (1, width)
