"""Who is let into the engine, who waits and who is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_svc.app.admission import Admission, Demand, Load
from inference_svc.app.quota_book import OneQuota
from inference_svc.config import Settings
from inference_svc.domain.adapter_room import AdapterRoom
from inference_svc.domain.lane import Lane
from inference_svc.domain.quota import Quota
from shared.errors import Exhausted, InvalidInput, Unavailable
from tests.unit.inference_svc.caller import IDLE, Caller, QuotaByTenant, begun, callers, demand, error, settle


@pytest.mark.asyncio
class TestPlaces:
    """Places in the engine."""

    async def test_go_to_waiting_tenants_in_turn(self) -> None:
        """A flood of one tenant does not hold up another."""
        admission = Admission(running=1, queued=10)
        async with callers(admission, *(demand(tenant) for tenant in "aaaabb")) as made:
            order = []
            while len(order) < len(made):
                (now,) = set(begun(made)) - set(order)
                order.append(now)
                await made[now].finish()
                await settle()

        assert order == [0, 1, 4, 2, 5, 3]
        assert admission.load == IDLE

    async def test_cost_what_was_spent(self) -> None:
        """A tenant whose answers are shorter than expected gets more of them."""
        admission = Admission(running=1, queued=40)
        async with callers(admission, demand("x"), *(demand(tenant) for tenant in "ab" * 10)) as made:
            for number, each in enumerate(made):
                each.spent = 10 if number % 2 else 200
            served: list[int] = []
            for _ in range(8):
                (now,) = set(begun(made)) - set(served)
                served.append(now)
                await made[now].finish()
                await settle()

        assert sum(number % 2 for number in served[1:]) >= 5

    @given(st.data())
    async def test_are_given_back_whoever_goes_away_when(self, data: st.DataObject) -> None:
        """Callers that vanish while they wait, as they begin or while they run leave nothing behind."""
        admission = Admission(running=2, queued=4, room=AdapterRoom(1, 1))
        made = []
        for _ in range(data.draw(st.integers(1, 12))):
            tenant, adapter = data.draw(st.sampled_from("abc")), data.draw(st.sampled_from([None, "x", "y"]))
            made.append(Caller(admission, demand(tenant, adapter=adapter)))
            for each in data.draw(st.lists(st.sampled_from(made), max_size=2)):
                if data.draw(st.booleans()):
                    each.task.cancel()
                else:
                    each.end.set()
            for _ in range(data.draw(st.integers(0, 3))):
                await asyncio.sleep(0)
        running = sum(each.begun.is_set() and not each.task.done() for each in made)
        assert running <= 2
        for each in made:
            each.end.set()
        results = await asyncio.gather(*(each.task for each in made), return_exceptions=True)

        assert admission.load == IDLE
        assert not admission._answers
        assert all(result is None or isinstance(result, asyncio.CancelledError | Exhausted) for result in results)

    async def test_of_a_caller_that_vanishes_as_it_begins_go_to_the_next(self) -> None:
        """The one moment in which it holds a place and does not know it."""
        admission = Admission(running=1, queued=2)
        async with callers(admission, *(demand() for _ in range(3))) as made:
            made[0].end.set()
            while admission.load != Load(1, 1):  # noqa: ASYNC110  # the second has its place, and does not know it yet
                await asyncio.sleep(0)
            made[1].task.cancel()
            await settle()

            assert begun(made) == [0, 2]
            assert admission.load == Load(1, 0)


@pytest.mark.asyncio
class TestColdAdapters:
    """A request that others had to make room for, and that goes away before it began."""

    async def test_that_leave_let_the_others_go_on(self) -> None:
        """The place that the hot adapter was denied is used at once."""
        admission = Admission(running=2, queued=9, room=AdapterRoom(1, patience=1))
        hot, cold = demand("a", adapter="x"), demand("b", adapter="y")
        async with callers(admission, hot, cold, hot, hot) as made:
            await made[0].finish()
            await settle()
            assert begun(made) == [0, 2]  # one place is free, and kept from x until y has run

            made[1].task.cancel()
            await settle()

            assert begun(made) == [0, 2, 3]

    async def test_that_are_refused_let_the_others_go_on(self) -> None:
        """As when a full queue has no room for it any more."""
        quotas = QuotaByTenant({"b": Quota(weight=0.5)})
        admission = Admission(running=2, queued=2, quotas=quotas, room=AdapterRoom(1, patience=1))
        hot, cold = demand("a", adapter="x"), demand("b", adapter="y")
        async with callers(admission, hot, cold, hot, hot) as made:
            await made[0].finish()
            await settle()
            late = Caller(admission, demand("c", adapter="x"))
            made.append(late)
            await settle()

            assert error(made[1]).reason == "QUEUE_FULL"
            assert len(begun(made)) == 3


@pytest.mark.asyncio
class TestFullQueue:
    """More requests than may wait."""

    async def test_refuses_the_tenant_that_fills_it(self) -> None:
        """The newcomer of another tenant takes the place of its newest request."""
        admission = Admission(running=1, queued=3)
        async with callers(admission, *(demand("a") for _ in range(4)), demand("b")) as made:
            assert [each.task.done() for each in made] == [False, False, False, True, False]
            assert error(made[3]).reason == "QUEUE_FULL"
            assert error(made[3]).retry_after_seconds
            assert admission.load == Load(1, 3)

    async def test_refuses_the_newcomer_among_equals(self) -> None:
        """Nobody is sent away for another that has as many waiting."""
        admission = Admission(running=1, queued=2)
        async with callers(admission, *(demand(tenant) for tenant in "abcd")) as made:
            assert [each.task.done() for each in made] == [False, False, False, True]

    async def test_of_none_refuses_all_that_cannot_run_at_once(self) -> None:
        """A queue may be switched off."""
        admission = Admission(running=1, queued=0)
        async with callers(admission, demand("a"), demand("b")) as made:
            assert begun(made) == [0]
            assert error(made[1]).reason == "QUEUE_FULL"


@pytest.mark.asyncio
class TestEngineAway:
    """The engine dies, or is being restarted."""

    async def test_costs_nobody_anything(self) -> None:
        """A request that finds no engine spends none of its tenant's tokens, and says nothing about the usual wait."""
        quota = Quota(tokens_per_minute=100)
        admission = Admission(running=1, queued=1, quotas=OneQuota(quota))
        demand = Demand("acme", Lane.INTERACTIVE, None, 100)

        for _ in range(3):
            with pytest.raises(Unavailable):
                await _fall(admission, demand)
        async with admission.place(demand) as place:
            place.spent_tokens = 100
        with pytest.raises(Exhausted):
            await _fall(admission, demand)


async def _fall(admission: Admission, demand: Demand) -> None:
    async with admission.place(demand):
        raise Unavailable("NOT_SERVING", "the engine died")


class TestSettings:
    """What an operator may set."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [("running_requests", 0), ("queued_requests", -1), ("batch_adapters", 0), ("adapter_patience", -1)],
    )
    def test_lets_somebody_in(self, tmp_path: Path, name: str, value: int) -> None:
        """A setting under which nobody is ever answered is refused by its name."""
        with pytest.raises(InvalidInput) as caught:
            Settings(base_model_dir=tmp_path, registry="127.0.0.1:1", **{name: value})

        assert [violation.path for violation in caught.value.violations] == [name]

    def test_names_an_arithmetic_that_there_is(self, tmp_path: Path) -> None:
        """Before the engine is started with it, which takes half a minute."""
        with pytest.raises(InvalidInput, match="auto, bfloat16, float32, got 'int8'"):
            Settings(base_model_dir=tmp_path, registry="127.0.0.1:1", dtype="int8")


@pytest.mark.asyncio
class TestDraining:
    """A replica that goes away."""

    async def test_serves_who_waits_and_refuses_who_comes(self) -> None:
        """Nobody who was let in is forgotten."""
        admission = Admission(running=1, queued=3)
        async with callers(admission, demand(), demand()) as made:
            admission.close()
            with pytest.raises(Unavailable, match="drains"):
                async with admission.place(demand()):
                    pass
            await made[0].finish()
            await settle()
            assert begun(made) == [0, 1]

    async def test_refuses_by_name_who_cannot_begin_in_time(self) -> None:
        """Before the process ends, so that the caller learns that another replica may answer. Who runs goes on."""
        admission = Admission(running=1, queued=3)
        async with callers(admission, demand(), demand("a"), demand("b")) as made:
            admission.close(serve_waiting_seconds=0.01)
            await asyncio.wait([each.task for each in made[1:]])

            assert [error(each).reason for each in made[1:]] == ["NOT_SERVING", "NOT_SERVING"]
            assert admission.load == Load(1, 0)
            await made[0].finish()
        assert admission.load == IDLE
