"""Limits of one tenant at the door of the engine."""

from __future__ import annotations

import pytest

from inference_svc.app.admission import Admission, Load
from inference_svc.app.quota_book import OneQuota
from inference_svc.domain.quota import Quota
from shared.errors import Exhausted
from shared.testing import ManualClock
from tests.unit.inference_svc.caller import IDLE, begun, callers, demand, error, settle


@pytest.mark.asyncio
class TestQuotas:
    """Limits of one tenant."""

    async def test_running_requests_make_it_wait(self) -> None:
        """Others use the engine meanwhile."""
        admission = Admission(running=4, queued=10, quotas=OneQuota(Quota(running_requests=1)))
        async with callers(admission, demand("a"), demand("a"), demand("b")) as made:
            assert begun(made) == [0, 2]
            await made[0].finish()
            await settle()
            assert begun(made) == [0, 1, 2]

    async def test_waiting_requests_refuse_by_name(self) -> None:
        """With a time from the pace of the engine: two wait, each holds its place for four seconds."""
        clock = ManualClock()
        quota = Quota(running_requests=1, waiting_requests=2)
        admission = Admission(running=4, queued=10, quotas=OneQuota(quota), clock=clock)
        async with callers(admission, demand()) as made:
            clock.advance(4.0)
            await made[0].finish()
        async with callers(admission, *(demand() for _ in range(4))) as made:
            refusal = error(made[3])

            assert (refusal.reason, refusal.metadata["quota"]) == ("QUOTA_EXCEEDED", "waiting_requests")
            assert refusal.retry_after_seconds == pytest.approx(8.0)
            assert admission.load == Load(1, 2)
        assert admission.load == IDLE

    async def test_rates_refuse_by_name_until_the_time_they_say(self) -> None:
        """A request passes when its caller comes back as told; other tenants never notice."""
        clock = ManualClock()
        admission = Admission(running=4, queued=10, quotas=OneQuota(Quota(requests_per_second=0.5)), clock=clock)
        admission.knock("a")
        with pytest.raises(Exhausted) as caught:
            admission.knock("a")
        admission.knock("b")
        assert caught.value.retry_after_seconds == pytest.approx(2.0)
        clock.advance(2.0)

        admission.knock("a")

    async def test_tokens_are_charged_as_spent_and_given_back_when_nothing_ran(self) -> None:
        """An answer costs what it took; a caller that left the queue costs nothing."""
        admission = Admission(running=1, queued=10, quotas=OneQuota(Quota(tokens_per_minute=600)), clock=ManualClock())
        async with callers(admission, demand(tokens=400), demand(tokens=200)) as made:
            made[1].task.cancel()
            await settle()
            made[0].spent = 100
            await made[0].finish()
        async with callers(admission, demand(tokens=500), demand(tokens=1)) as made:
            assert begun(made) == [0]
            assert error(made[1]).metadata["quota"] == "tokens_per_minute"

    async def test_a_request_that_is_cut_off_costs_what_was_expected(self) -> None:
        """Deadlines that are too short buy nobody the engine for nothing."""
        admission = Admission(running=1, queued=10, quotas=OneQuota(Quota(tokens_per_minute=600)), clock=ManualClock())
        async with callers(admission, demand(tokens=600)):
            pass
        async with callers(admission, demand(tokens=1)) as made:
            assert error(made[0]).reason == "QUOTA_EXCEEDED"

    async def test_memory_follows_the_tenants_that_are_here(self) -> None:
        """Tenants whose quotas are whole again are forgotten."""
        clock = ManualClock()
        admission = Admission(running=1, queued=10, quotas=OneQuota(Quota(requests_per_second=1)), clock=clock)
        for number in range(5_000):
            admission.knock(f"t{number}")
            clock.advance(1.0)

        assert len(admission._accounts) <= 2_048
