"""What an owner may ask of a revision, and what is asked where the owner left it open."""

from __future__ import annotations

import math

import pytest

from shared.adapter.canary import RollbackPolicy
from shared.errors import InvalidInput
from tests.unit.trainer_svc.promotion_sample import POLICIES
from trainer_svc.domain import promotion_policy
from trainer_svc.domain.promotion_policy import (
    DEFAULT_CANARY_PERCENT,
    DEFAULT_LEAST_OWN_STOP_RATE,
    DEFAULT_MAX_MEMORISED_GAP,
    BuiltInCheck,
    ForgettingLimits,
    PromotionPolicy,
    RollbackWish,
    Threshold,
)
from trainer_svc.store.codec import dump, load


def effective(policy: PromotionPolicy) -> tuple[int, float, float]:
    """What a revision is held to."""
    return (
        policy.effective_canary_percent, policy.effective_least_own_stop_rate, policy.effective_max_memorised_gap
    )  # fmt: skip


class TestPolicy:
    """`PromotionPolicy`."""

    @pytest.mark.parametrize("policy", POLICIES)
    def test_lets_sensible_ones_through(self, policy: PromotionPolicy) -> None:
        """And they are stored as they are."""
        policy.check_ranges()

        assert load(PromotionPolicy, dump(policy)) == policy

    def test_goes_by_the_default_of_the_day_where_a_limit_was_left_open(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also one that was stored under another default; a limit that was set stays, even where it was the default."""
        thresholds = (Threshold("exact_match", 0.5),)
        left_open = load(PromotionPolicy, dump(PromotionPolicy(thresholds=thresholds)))
        was_set = load(PromotionPolicy, dump(PromotionPolicy(
            canary_percent=DEFAULT_CANARY_PERCENT, least_own_stop_rate=DEFAULT_LEAST_OWN_STOP_RATE,
            max_memorised_gap=DEFAULT_MAX_MEMORISED_GAP,
        )))  # fmt: skip

        before = effective(was_set)
        assert effective(left_open) == before
        monkeypatch.setattr(promotion_policy, "DEFAULT_CANARY_PERCENT", 7)
        monkeypatch.setattr(promotion_policy, "DEFAULT_LEAST_OWN_STOP_RATE", 0.7)
        monkeypatch.setattr(promotion_policy, "DEFAULT_MAX_MEMORISED_GAP", 0.7)

        assert effective(left_open) == (7, 0.7, 0.7)
        assert effective(was_set) == before

    def test_takes_a_canary_back_by_the_default_where_that_was_left_open(self) -> None:
        """Field by field; to watch nothing is not to leave it open."""
        assert PromotionPolicy().effective_rollback == RollbackPolicy()
        assert PromotionPolicy(rollback=RollbackWish((), 0.9)).effective_rollback == RollbackPolicy((), 0.9)

    @pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, -0.01, 1.01])
    def test_refuses_what_is_no_share(self, wrong: float) -> None:
        """Every such field at once, by its path: a NaN would let everything through, or nothing."""
        policy = PromotionPolicy(
            canary_percent=0, rollback=RollbackWish(confidence=wrong), live_margin=wrong, least_own_stop_rate=wrong,
            max_memorised_gap=wrong, thresholds=(Threshold("exact_match", wrong),),
            forgetting=ForgettingLimits(-1.0, math.nan, wrong),
        )  # fmt: skip

        with pytest.raises(InvalidInput) as caught:
            policy.check_ranges()

        assert {each.path.removeprefix("policy.") for each in caught.value.violations} == {
            "canary.percent", "canary.rollback_policy.confidence", "live_margin", "min_own_stop_rate",
            "max_memorised_gap", "thresholds[0].min_value", "forgetting_limits.max_cross_entropy_increase",
            "forgetting_limits.max_kl_divergence", "forgetting_limits.max_leaked_format_rate",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("policy", "path"),
        [
            (PromotionPolicy(canary_percent=100), "policy.canary.percent"),
            (PromotionPolicy(thresholds=(Threshold("../x", 0.5),)), "policy.thresholds[0].metric"),
            (PromotionPolicy(thresholds=(Threshold("a", 0.5), Threshold("a", 0.6))), "policy.thresholds[1].metric"),
            (PromotionPolicy(thresholds=tuple(Threshold(f"m{n}", 0.5) for n in range(33))), "policy.thresholds"),
            (
                PromotionPolicy(live_margin=0.1, disabled=frozenset({BuiltInCheck.NOT_WORSE_THAN_LIVE})),
                "policy.live_margin",
            ),
        ],
    )
    def test_refuses_what_says_nothing(self, policy: PromotionPolicy, path: str) -> None:
        """Names that no metric has, two thresholds of one, a margin without its check."""
        with pytest.raises(InvalidInput) as caught:
            policy.check_ranges()

        assert [each.path for each in caught.value.violations] == [path]
