"""Bounds on the label values that tenants choose."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.telemetry.label import OTHER, BoundedLabels

PAIRS = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 30).map(str)), max_size=200)


class TestBoundedLabels:
    """Pairs of tenant and adapter as label values."""

    @given(pairs=PAIRS, limit=st.integers(1, 20), share=st.integers(1, 8))
    def test_stay_within_the_limit_and_within_each_share(
        self, pairs: list[tuple[str, str]], limit: int, share: int
    ) -> None:
        """However many pairs come, in whatever order."""
        labels = BoundedLabels(limit=limit, share=share)

        given_out = {labels.of(*pair) for pair in pairs} | {(OTHER, OTHER)}

        assert len(given_out) <= limit
        for tenant in "abcdef":
            assert sum(found == tenant for found, _ in given_out) <= share

    @given(pairs=PAIRS, limit=st.integers(1, 20), share=st.integers(1, 8))
    def test_never_change_for_a_pair(self, pairs: list[tuple[str, str]], limit: int, share: int) -> None:
        """What moved to another series would be counted in both."""
        labels = BoundedLabels(limit=limit, share=share)

        first = [labels.of(*pair) for pair in pairs]

        assert [labels.of(*pair) for pair in pairs] == first
        assert len(set(zip(pairs, first, strict=True))) == len(set(pairs))

    @given(pairs=PAIRS, limit=st.integers(1, 20), share=st.integers(1, 8))
    def test_never_name_another_tenant(self, pairs: list[tuple[str, str]], limit: int, share: int) -> None:
        """A pair is labelled with itself, with its tenant's rest, or with everybody's rest."""
        labels = BoundedLabels(limit=limit, share=share)

        for tenant, adapter in pairs:
            assert labels.of(tenant, adapter) in {(tenant, adapter), (tenant, OTHER), (OTHER, OTHER)}

    def test_of_one_tenant_leave_room_for_others(self) -> None:
        """A tenant that creates adapters without end takes its share; the next tenant still has names of its own."""
        labels = BoundedLabels(limit=100, share=10)

        greedy = [labels.of("greedy", str(number)) for number in range(10_000)]

        assert greedy[8] == ("greedy", "8")
        assert set(greedy[9:]) == {("greedy", OTHER)}
        assert labels.of("modest", "answer") == ("modest", "answer")
