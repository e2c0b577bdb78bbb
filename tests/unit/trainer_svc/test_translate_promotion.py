"""Policies of promotion between protobuf and the domain."""

from __future__ import annotations

import pytest

from goldsmith.registry.v1 import promotion_pb2
from shared.adapter.canary import RollbackPolicy, RollbackReason
from shared.errors import InvalidInput
from shared.names import AdapterName
from shared.rpc.canary_message import rollback_policy_of
from tests.unit.trainer_svc.translate_sample import NOW
from trainer_svc.domain.promotion_policy import (
    AdapterPolicy,
    BuiltInCheck,
    ForgettingLimits,
    PromotionMode,
    PromotionPolicy,
    RollbackWish,
    Threshold,
)
from trainer_svc.translate import promotion


class TestPromotionPolicy:
    """Policies of adapters."""

    def test_what_an_owner_leaves_open_stays_open(self) -> None:
        """Also sent back as it was read; what applies is told beside it."""
        message = promotion.policy_message(AdapterName("a", "x"), AdapterPolicy())

        assert promotion.policy_of(promotion_pb2.PromotionPolicy()) == PromotionPolicy()
        assert promotion.policy_of(message) == PromotionPolicy()
        assert not any(map(message.HasField, ("canary", "min_own_stop_rate", "max_memorised_gap")))
        assert (message.effective_min_own_stop_rate, message.effective_max_memorised_gap) == (0.9, 0.32)
        assert message.effective_canary.percent == 5
        assert rollback_policy_of(message.effective_canary.rollback_policy, "") == RollbackPolicy()

    @pytest.mark.parametrize(
        "wish",
        [
            RollbackWish(),
            RollbackWish(watched=()),
            RollbackWish(watched=(RollbackReason.LATENCY,)),
            RollbackWish(confidence=0.9),
            RollbackWish(rate_margin=0.0),
            RollbackWish(latency_margin=0.0),
        ],
    )
    def test_each_part_of_a_trial_stays_open_by_itself(self, wish: RollbackWish) -> None:
        """A message that sets one of them comes back with no other."""
        policy = PromotionPolicy(canary_percent=7, rollback=wish)

        message = promotion.policy_message(AdapterName("a", "x"), AdapterPolicy(policy))

        assert promotion.policy_of(message) == policy
        assert rollback_policy_of(message.effective_canary.rollback_policy, "") == policy.effective_rollback

    def test_comes_back_as_it_was_sent(self) -> None:
        """Zeros and absent limits included."""
        policy = PromotionPolicy(
            mode=PromotionMode.CANARY, canary_percent=0, rollback=RollbackWish((), 0.9),
            thresholds=(Threshold("unconstrained.rouge_l", 0.0, is_at_lower_end=True),), live_margin=0.0,
            forgetting=ForgettingLimits(kl_divergence=0.0), disabled=frozenset({BuiltInCheck.OWN_STOP}),
            least_own_stop_rate=0.0, max_memorised_gap=0.0, is_evaluation_required=True,
        )  # fmt: skip

        message = promotion.policy_message(AdapterName("a", "x"), AdapterPolicy(policy, 3, NOW))

        assert promotion.policy_of(message) == policy
        assert (message.name, message.etag) == ("tenants/a/adapters/x/promotionPolicy", "3")

    @pytest.mark.parametrize("field", ["mode", "disabled_checks"])
    def test_an_unknown_number_is_refused(self, field: str) -> None:
        """What a newer client means by it is not known; a check that is not one cannot be switched off."""
        message = promotion_pb2.PromotionPolicy(**{field: [0] if field == "disabled_checks" else 77})

        with pytest.raises(InvalidInput, match=field):
            promotion.policy_of(message)
