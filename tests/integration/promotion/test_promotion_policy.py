"""Promotion policies over TLS."""

from __future__ import annotations

import asyncio
import math

import pytest

from goldsmith.registry.v1 import promotion_pb2 as pb
from shared.client import TrainerClient
from shared.errors import Conflict, InvalidInput, StateConflict
from tests.integration.promotion.house import Adapter
from tests.unit.trainer_svc.evidence_sample import compared, sound

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


class TestPolicy:
    """GetPromotionPolicy and UpdatePromotionPolicy."""

    async def test_is_the_default_until_one_is_stored(self, adapter: Adapter) -> None:
        """With etag "0" and no time; a stored one replaces it as a whole, and leaves open what its owner does."""
        default = await adapter.ask(lambda client: client.policy(adapter.policy))
        wanted = pb.PromotionPolicy(
            name=adapter.policy, mode=pb.PROMOTION_MODE_CANARY, live_margin=0.05, etag=default.etag,
            thresholds=[pb.MetricThreshold(metric="exact_match", min_value=0.5)],
        )  # fmt: skip

        stored = await adapter.ask(lambda client: client.update_policy(wanted))
        with pytest.raises(Conflict):
            await adapter.ask(lambda client: client.update_policy(wanted))

        assert (default.etag, default.HasField("update_time"), default.mode) == ("0", False, pb.PROMOTION_MODE_LIVE)
        for each in (default, stored):
            assert not any(map(each.HasField, ("canary", "min_own_stop_rate", "max_memorised_gap")))
            assert (each.effective_min_own_stop_rate, each.effective_max_memorised_gap) == (0.9, 0.32)
            assert each.effective_canary.percent == 5
        assert (stored.etag, stored.live_margin, stored.thresholds) == ("1", 0.05, wanted.thresholds)
        assert await adapter.ask(lambda client: client.policy(adapter.policy)) == stored

    @pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0])
    async def test_refuses_what_is_no_margin(self, adapter: Adapter, wrong: float) -> None:
        """Nothing of it is stored."""
        policy = pb.PromotionPolicy(name=adapter.policy, live_margin=wrong)
        policy.thresholds.add(metric="exact_match", min_value=wrong)
        policy.canary.percent = 100

        with pytest.raises(InvalidInput) as caught:
            await adapter.ask(lambda client: client.update_policy(policy))

        assert {each.path for each in caught.value.violations} == {
            "policy.live_margin", "policy.thresholds[0].min_value", "policy.canary.percent",
        }  # fmt: skip
        assert (await adapter.ask(lambda client: client.policy(adapter.policy))).etag == "0"

    async def test_binds_set_alias(self, adapter: Adapter) -> None:
        """From the first one that is stored."""
        bad = await adapter.publish(sound(against_chance=(compared(0.0),)))
        await adapter.ask(lambda client: client.update_policy(pb.PromotionPolicy(name=adapter.policy)))

        def set_alias() -> None:
            with TrainerClient(adapter.house.trainer, adapter.house.credentials(roles=["admin"])) as client:
                client.set_alias(adapter.live, bad)

        with pytest.raises(StateConflict, match="override") as caught:
            await asyncio.to_thread(set_alias)
        assert caught.value.reason == "PROMOTION_REFUSED"
