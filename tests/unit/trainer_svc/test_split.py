"""Holding out whole clusters."""

from __future__ import annotations

import dataclasses
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from trainer_svc.curation.split import set_aside, split_by_cluster
from trainer_svc.domain.dataset import CheckedRow


def _rows(count: int) -> list[CheckedRow]:
    return [CheckedRow(i, f"input {i}", "{}") for i in range(count)]


class TestSplitByCluster:
    """Which rows are trained on and which are held out."""

    @given(st.lists(st.integers(1, 3), min_size=60, max_size=120), st.integers(0, 5))
    def test_no_cluster_straddles(self, sizes: list[int], seed: int) -> None:
        """Each row is on one side, in its order, with its whole cluster."""
        clusters = [label for label, size in enumerate(sizes) for _ in range(size)]
        rows = _rows(len(clusters))

        train, holdout = split_by_cluster(rows, clusters, seed)

        sides = [{clusters[row.row] for row in side} for side in (train, holdout)]
        assert sides[0].isdisjoint(sides[1])
        assert [row for row in rows if row in train] == train
        assert [row for row in rows if row in holdout] == holdout
        assert len(train) + len(holdout) == len(rows)
        assert 0.9 * len(rows) / 10 - 3 <= len(holdout) <= 0.1 * len(rows) + 0.5

    def test_takes_a_tenth_of_the_rows(self) -> None:
        """A cluster larger than what is left of the tenth is passed over."""
        clusters = [0] * 30 + list(range(1, 71))

        train, holdout = split_by_cluster(_rows(100), clusters, 0)

        assert (len(train), len(holdout)) == (90, 10)
        assert Counter(clusters[row.row] for row in holdout)[0] == 0

    def test_large_clusters_give_way_to_equal_inputs(self) -> None:
        """Where most rows are nearly the same some of them are held out all the same, rather than next to none."""
        rows = [CheckedRow(i, f"input {i // 2}", "{}") for i in range(100)]

        train, holdout = split_by_cluster(rows, [0] * 50 + [1] * 50, 0)

        assert (len(train), len(holdout)) == (90, 10)
        assert {row.input for row in train}.isdisjoint(row.input for row in holdout)

    def test_large_clusters_are_held_out_no_more_often_than_others(self) -> None:
        """A cluster has one ticket in the draw, however many its rows."""
        clusters = [label for label in range(100) for _ in range(20)] + list(range(100, 3100))
        rows = _rows(len(clusters))

        held = [split_by_cluster(rows, clusters, seed)[1] for seed in range(5)]

        ratio = sum(clusters[row.row] < 100 for side in held for row in side) / sum(map(len, held))
        assert 0.25 < ratio < 0.55  # 0.4 of the rows are in clusters

    def test_holds_the_smallest_out_where_all_are_large(self) -> None:
        """Rather more than a tenth than no holdout."""
        rows = [CheckedRow(i, "a" if i < 6 else "b", "{}") for i in range(10)]

        train, holdout = split_by_cluster(rows, [0] * 6 + [1] * 4, 0)

        assert ([row.row for row in train], [row.row for row in holdout]) == (list(range(6)), list(range(6, 10)))

    def test_of_large_ones_alike_the_seed_chooses(self) -> None:
        """And not the order of the rows."""
        rows = [CheckedRow(i, "ab"[i % 2], "{}") for i in range(20)]

        def held(given: list[CheckedRow], seed: int) -> set[str]:
            return {row.input for row in split_by_cluster(given, [row.row % 2 for row in given], seed)[1]}

        assert [held(rows, seed) for seed in range(9)] == [held(rows[::-1], seed) for seed in range(9)]
        assert {*map(frozenset, (held(rows, seed) for seed in range(9)))} == {frozenset("a"), frozenset("b")}

    def test_does_not_hold_out_a_single_cluster(self) -> None:
        """Rows with one input measure nothing."""
        rows = [CheckedRow(i, "a", "{}") for i in range(3)]

        assert split_by_cluster(rows, [0, 0, 0], 0) == (rows, [])

    def test_is_a_function_of_seed_and_inputs(self) -> None:
        """The order of the upload does not matter."""
        rows = _rows(100)

        def held(given: list[CheckedRow], seed: int) -> set[str]:
            return {row.input for row in split_by_cluster(given, [row.row for row in given], seed)[1]}

        assert held(rows, 0) == held(rows[::-1], 0)
        assert held(rows, 0) != held(rows, 1)


class TestSetAside:
    """Rows of a train split that are not trained on."""

    @given(st.lists(st.integers(1, 5), min_size=20, max_size=120), st.integers(0, 5))
    def test_no_cluster_straddles(self, sizes: list[int], seed: int) -> None:
        """At most as many as wanted, and fewer rather than a part of a cluster."""
        clusters = [label for label, size in enumerate(sizes) for _ in range(size)]

        places = set_aside(_rows(len(clusters)), clusters, 16, seed)

        assert {clusters[place] for place in places}.isdisjoint(
            clusters[place] for place in range(len(clusters)) if place not in places
        )
        assert 16 - 5 < len(places) <= 16

    def test_takes_none_of_a_single_cluster(self) -> None:
        """Where a holdout would fall back to equal inputs."""
        assert set_aside(_rows(100), [0] * 100, 16, 0) == set()

    def test_leaves_what_a_teacher_answered(self) -> None:
        """A validation measures against people's answers; rows like a labelled one stay with it."""
        rows = [dataclasses.replace(row, synthetic=place % 3 == 0) for place, row in enumerate(_rows(100))]
        clusters = [place // 2 for place in range(100)]

        places = set_aside(rows, clusters, 16, 0)

        assert 8 <= len(places) <= 16
        assert not any(rows[other].synthetic for place in places for other in (place, place ^ 1))
