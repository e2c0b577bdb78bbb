"""Which rows of a report belong together."""

from __future__ import annotations

import pytest

from shared.cli.cluster import clusters_of, named_clusters


class TestClusters:
    """Rows that findings connect."""

    def test_are_joined_over_all_findings(self) -> None:
        """However many steps lead from one row to another, in any order."""
        assert clusters_of([(9, 3), (5, 7), (12, 9), (7, 5)]) == [[3, 9, 12], [5, 7]]
        assert clusters_of([(1, 2), (3, 4), (5, 6), (2, 3, 6)]) == [[1, 2, 3, 4, 5, 6]]

    def test_leave_single_rows_out(self) -> None:
        """They have no other."""
        assert clusters_of([(4,), (4, 4), ()]) == []

    @pytest.mark.timeout(120)  # joining the larger to the smaller takes 5 * 10**9 moves
    def test_a_long_chain_moves_each_row_seldom(self) -> None:
        """A hundred thousand rows, each like the one before, and all pairs joined late."""
        count = 1 << 17
        pairs = [(first, first + step) for step in (1 << n for n in range(17)) for first in range(0, count, 2 * step)]

        assert clusters_of((row, row + 1) for row in range(1, 100_000)) == [list(range(1, 100_001))]
        assert clusters_of(pairs) == [list(range(count))]

    def test_are_named_as_far_as_a_screen_holds(self) -> None:
        """With how many more there are."""
        assert named_clusters([[3, 9, 12], [5, 7]]) == "3 + 9 + 12, 5 + 7"
        assert named_clusters([[*range(1, 13)]]) == "1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 10 + 2 more"
        assert named_clusters([[row, row + 1] for row in range(0, 24, 2)]).endswith("18 + 19 and 2 more")
