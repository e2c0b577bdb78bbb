"""When a canary is found to be worse than the revision beside it."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_svc.domain.canary_judge import FIRST_LOOK, WINDOW, CanaryJudge, Sample, Side, Verdict
from shared.adapter.canary import RollbackPolicy, RollbackReason

pytestmark = pytest.mark.timeout(120)

Draw = Callable[[random.Random], Sample]


def behaviour(*, failing: float = 0.0, retrying: float = 0.0, seconds: float = 1.0) -> Draw:
    """Requests that fail and are retried at these rates, and take log-normal times around `seconds`."""

    def draw(chance: random.Random) -> Sample:
        failed = chance.random() < failing
        return Sample(failed, chance.random() < retrying, None if failed else chance.lognormvariate(0, 0.5) * seconds)

    return draw


def run(  # a trial, keyword-only past its two sides
    live: Draw, canary: Draw, *, requests: int, seed: int = 1, share: float = 0.5,
    policy: RollbackPolicy = RollbackPolicy(),  # noqa: B008  # frozen
) -> tuple[Verdict | None, int]:  # fmt: skip
    """The verdict, and after how many requests in all."""
    chance = random.Random(seed)
    judge = CanaryJudge(policy, chance.random)
    for number in range(1, requests + 1):
        side = Side.CANARY if chance.random() < share else Side.LIVE
        verdict = judge.note(side, (canary if side is Side.CANARY else live)(chance))
        if verdict is not None:
            return verdict, number
    return None, requests


class TestAsGood:
    """A canary that is as good."""

    @pytest.mark.parametrize("share", [0.5, 0.1])
    def test_is_taken_back_less_often_than_the_level(self, share: float) -> None:
        """However often one looks: of 100 trials at the level 0.2 no more than 20, where chance is greatest."""
        same = behaviour(failing=0.3, retrying=0.5)
        policy = RollbackPolicy(confidence=0.8, rate_margin=0.0, latency_margin=0.0)

        taken_back = sum(
            run(same, same, requests=800, seed=seed, share=share, policy=policy)[0] is not None for seed in range(100)
        )

        assert taken_back <= 20

    def test_is_not_held_to_what_lies_within_the_margins(self) -> None:
        """Slower by less than the margin, or failing by less: not worth a roll back, however sure it is."""
        policy = RollbackPolicy(rate_margin=0.2, latency_margin=1.0)

        verdict, _ = run(behaviour(), behaviour(failing=0.1, seconds=1.5), requests=6000, policy=policy)

        assert verdict is None

    def test_is_not_blamed_for_a_period_in_which_everything_fails(self) -> None:
        """Both sides are of the same period: an outage hits both."""
        chance, judge = random.Random(3), CanaryJudge(RollbackPolicy(), random.Random(4).random)
        for number in range(4000):
            side = Side.CANARY if chance.random() < 0.2 else Side.LIVE
            outage = 1000 <= number < 2000
            sample = behaviour(failing=0.9 if outage else 0.0, seconds=5.0 if outage else 1.0)(chance)
            assert judge.note(side, sample) is None

    @settings(max_examples=20, deadline=None)
    @given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=400))
    def test_one_side_alone_is_never_enough(self, samples: list[tuple[bool, bool, bool]]) -> None:
        """Whatever it does: there is nothing to compare with."""
        judge = CanaryJudge(RollbackPolicy(), random.Random(1).random)

        for failed, retried, answered in samples:
            assert judge.note(Side.CANARY, Sample(failed, retried, 1.0 if answered else None)) is None


class TestWorse:
    """A canary that is worse."""

    @pytest.mark.parametrize(
        ("canary", "reason", "within"),
        [
            (behaviour(failing=1.0), RollbackReason.ERROR_RATE, 40),
            (behaviour(failing=0.3), RollbackReason.ERROR_RATE, 300),
            (behaviour(retrying=1.0), RollbackReason.FORMAT_RETRY_RATE, 40),
            (behaviour(retrying=0.3), RollbackReason.FORMAT_RETRY_RATE, 300),
            (behaviour(seconds=10.0), RollbackReason.LATENCY, 40),
            (behaviour(seconds=2.0), RollbackReason.LATENCY, 300),
        ],
    )
    def test_is_taken_back_soon(self, canary: Draw, reason: RollbackReason, within: int) -> None:
        """For the measure in which it is worse, in every one of twenty trials at half of the requests."""
        for seed in range(20):
            verdict, requests = run(behaviour(failing=0.01, retrying=0.02), canary, requests=within, seed=seed)

            assert verdict is not None, (seed, requests)
            assert verdict.reason is reason

    def test_with_a_small_share_needs_few_of_its_own_requests(self) -> None:
        """At five percent a canary that always fails has failed eight callers, not more."""
        verdict, _ = run(behaviour(), behaviour(failing=1.0), requests=1000, share=0.05)

        assert verdict is not None
        assert f"{FIRST_LOOK} of {FIRST_LOOK} requests" in verdict.description

    def test_that_turns_bad_after_a_long_good_time_is_found(self) -> None:
        """Each window begins anew: a good past does not excuse it."""
        chance, judge = random.Random(5), CanaryJudge(RollbackPolicy(), random.Random(6).random)

        def until_verdict(canary: Draw, requests: int) -> int | None:
            for number in range(requests):
                side = Side.CANARY if chance.random() < 0.5 else Side.LIVE
                if judge.note(side, (canary if side is Side.CANARY else behaviour())(chance)) is not None:
                    return number
            return None

        assert until_verdict(behaviour(), 10 * WINDOW) is None
        assert until_verdict(behaviour(failing=0.5), 4 * WINDOW) is not None

    def test_in_what_is_not_watched_stays(self) -> None:
        """The owner of the alias says what counts."""
        policy = RollbackPolicy(watched=(RollbackReason.LATENCY,))

        assert run(behaviour(), behaviour(failing=0.9), requests=500, policy=policy)[0] is None
        assert run(behaviour(), behaviour(failing=1.0), requests=500, policy=RollbackPolicy(watched=()))[0] is None


class TestMemory:
    """What a trial keeps."""

    def test_is_bounded_on_the_side_with_most_requests(self) -> None:
        """Times are a uniform sample of the window: early and late ones are as likely to be in it."""
        judge, live = CanaryJudge(RollbackPolicy(), random.Random(2).random), 20 * WINDOW
        for number in range(live):
            judge.note(Side.LIVE, Sample(False, False, float(number)))
        kept = judge._tallies[Side.LIVE].seconds

        assert len(kept) == WINDOW
        assert 0.45 < sum(kept) / len(kept) / live < 0.55
