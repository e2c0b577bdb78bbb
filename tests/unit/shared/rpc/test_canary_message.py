"""Canaries as messages."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldsmith.registry.v1 import adapter_pb2 as pb
from shared.adapter.canary import CanarySplit, RollbackPolicy, RollbackReason
from shared.errors import InvalidInput
from shared.names import RevisionName
from shared.rpc.canary_message import REASONS, split_message, split_of

REVISION = RevisionName("acme", "answer", 2)


def _in_order(asked: set[RollbackReason]) -> tuple[RollbackReason, ...]:
    return tuple(each for each in RollbackReason if each in asked)


SPLITS = st.builds(
    CanarySplit,
    revision=st.builds(RevisionName, st.just("acme"), st.just("answer"), st.integers(1, 999_999_999)),
    percent=st.integers(1, 99),
    policy=st.builds(
        RollbackPolicy,
        watched=st.sets(st.sampled_from(RollbackReason)).map(_in_order),
        confidence=st.floats(0.5, 0.9999),
        rate_margin=st.floats(0, 0.99),
        latency_margin=st.floats(0, 10),
    ),
    start_time=st.integers(0, 1 << 32).map(lambda seconds: datetime.fromtimestamp(seconds + 0.25, UTC)),
)


class TestSplit:
    """A canary split."""

    @given(SPLITS)
    def test_is_read_as_it_was_written(self, split: CanarySplit) -> None:
        """Whatever is watched, nothing included."""
        assert split_of(split_message(split)) == split

    def test_that_says_little_has_the_documented_defaults(self) -> None:
        """Everything is watched, at 99 %."""
        assert split_of(pb.CanarySplit(revision=str(REVISION), percent=5)) == CanarySplit(
            REVISION, 5, RollbackPolicy(tuple(RollbackReason), 0.99, 0.01, 0.25)
        )

    def test_of_a_newer_caller_is_refused(self) -> None:
        """A measure that this version does not know is not silently left unwatched."""
        message = pb.CanarySplit(revision=str(REVISION), percent=5)
        message.rollback_policy.watched.append(99)  # type: ignore[arg-type]  # what a newer caller sends

        with pytest.raises(InvalidInput, match="watched"):
            split_of(message)

    @pytest.mark.parametrize(("seconds", "nanos"), [(10**15, 0), (-(10**15), 0), (0, 10**9), (0, -1)])
    def test_that_began_at_no_moment_is_refused(self, seconds: int, nanos: int) -> None:
        """A mistake of the caller's, with its field; not a fault of ours."""
        message = pb.CanarySplit(revision=str(REVISION), percent=5)
        message.start_time.seconds, message.start_time.nanos = seconds, nanos

        with pytest.raises(InvalidInput, match=r"alias\.canary\.start_time"):
            split_of(message)

    def test_reasons_are_all_sent(self) -> None:
        """Each has its own value, none that of no reason."""
        assert set(REASONS.values()) == set(pb.RollbackReason.values()) - {pb.ROLLBACK_REASON_UNSPECIFIED}
