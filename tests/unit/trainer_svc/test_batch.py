"""Rows of like length, and what their batches hold of padding."""

from __future__ import annotations

import random

from trainer_svc.domain.batch import grouped, padded_tokens, width_of

LENGTHS = [random.Random(row).randint(20, 400) for row in range(503)]


class TestPaddedTokens:
    """Tokens of an epoch, as it is trained."""

    def test_rows_of_one_width_have_no_padding(self) -> None:
        """Whatever the number of rows, also beyond those that are simulated, and in a set smaller than a batch."""
        assert padded_tokens([56], 90, 8) == 56 * 90
        assert padded_tokens([56], 1_000_003, 8) == 56 * 1_000_003
        assert padded_tokens([10, 40], 2, 8) == 80
        assert padded_tokens([50], 90, 8) == 56 * 90

    def test_is_that_of_the_batches(self) -> None:
        """Within three hundredths of another shuffle of the same rows, and a little more than their tokens."""
        order = random.Random(7).sample(range(len(LENGTHS)), len(LENGTHS))
        batches = list(grouped(order, LENGTHS, 8))
        truth = sum(len(batch) * width_of(max(LENGTHS[row] for row in batch)) for batch in batches)

        told = padded_tokens(sorted(LENGTHS), len(LENGTHS), 8)

        assert abs(told / truth - 1) < 0.03
        assert 1.02 < told / sum(LENGTHS) < 1.3

    def test_a_sample_of_the_lengths_will_do(self) -> None:
        """As it is kept of large datasets."""
        many = [random.Random(row).randint(20, 400) for row in range(5_000)]

        told = padded_tokens(sorted(many)[::10], len(many), 16)

        assert abs(told / padded_tokens(many, len(many), 16) - 1) < 0.01
