"""How far an answer repeats the expected one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.adapter.replay import replayed_ratio

_TOKENS = st.lists(st.integers(0, 3), max_size=6)


class TestReplayedRatio:
    """Of two lists of tokens."""

    @given(_TOKENS, _TOKENS)
    def test_is_the_share_before_the_first_difference(self, answer: list[int], expected: list[int]) -> None:
        """Whatever the answer goes on with; all of nothing is 1."""
        ratio = replayed_ratio(answer, expected)

        same = round(ratio * len(expected))
        assert answer[:same] == expected[:same]
        assert same == len(expected) or answer[same : same + 1] != expected[same : same + 1]
        assert expected or ratio == 1.0
