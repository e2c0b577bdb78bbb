"""The engine's places for adapters: who makes room for whom."""

from __future__ import annotations

import asyncio

import pytest

from inference_svc.app import places
from inference_svc.domain.residency import ResidentState
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, Replica, let_run, revision

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


class TestPlaces:
    """Who has one, and who waits."""

    async def test_a_revision_without_a_place_stays_registered(self, replica: Replica) -> None:
        """Both places are in use: the third waits, and whoever asks is told so."""
        names = [f"{ADAPTER}/revisions/{replica.publish(number).number}" for number in (1, 2, 3)]
        async with replica.fleet.lease(names[0]), replica.fleet.lease(names[1]):
            waiting = asyncio.create_task(replica.use(names[2]))
            await let_run()
            assert replica.states()[3] is ResidentState.REGISTERED
        await waiting

        assert replica.states()[3] is ResidentState.LIVE

    async def test_the_least_recently_used_makes_room(self, replica: Replica) -> None:
        """A full engine unloads the idle revision that was used longest ago."""
        names = [str(replica.publish(number)) for number in (1, 2, 3)]
        for name in names[:2]:
            async with replica.fleet.lease(name):
                pass
        async with replica.fleet.lease(names[0]):
            pass
        async with replica.fleet.lease(names[2]):
            assert replica.states() == {1: ResidentState.LIVE, 2: ResidentState.UNLOADED, 3: ResidentState.LIVE}

    async def test_a_newcomer_waits_for_the_first_that_becomes_idle(self, replica: Replica) -> None:
        """When none is idle nobody is refused, and nothing that runs is disturbed."""
        names = [str(replica.publish(number)) for number in (1, 2, 3)]
        async with replica.fleet.lease(names[0]):
            async with replica.fleet.lease(names[1]):
                waiting = asyncio.create_task(replica.use(names[2]))
                await let_run()
                assert not waiting.done()
            await waiting
            assert replica.states() == {1: ResidentState.LIVE, 2: ResidentState.UNLOADED, 3: ResidentState.LIVE}

    async def test_one_that_is_never_idle_is_closed(self, replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
        """Requests that overlap without end would keep a place for ever: later ones wait behind the newcomer."""
        monkeypatch.setattr(places, "_PATIENCE_SECONDS", 0.001)
        names = [str(replica.publish(number)) for number in (1, 2, 3)]
        async with replica.fleet.lease(names[1]):
            async with replica.fleet.lease(names[0]):
                newcomer = asyncio.create_task(replica.use(names[2]))
                closing = replica.fleet.residents("acme")[1][0]
                while not closing.is_closing:  # noqa: ASYNC110  # time has to pass
                    await asyncio.sleep(0.001)
                overlapping = asyncio.create_task(replica.use(names[1]))
                await let_run()
                assert not newcomer.done()
            await newcomer
        await overlapping
        assert not any(resident.is_closing for resident, _ in replica.fleet.residents("acme"))

    async def test_one_that_was_replaced_and_is_never_idle_is_closed(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Requests that name it and overlap without end keep no place either, though no alias means it any more."""
        monkeypatch.setattr(places, "_PATIENCE_SECONDS", 0.001)
        names = [str(replica.publish(number)) for number in (1, 2, 3)]
        replica.fleet.point(ALIAS, revision(1))
        async with replica.fleet.lease(names[0]):
            replica.fleet.point(ALIAS, revision(2))
            await replica.settle()
            replica.fleet.pin({ALIAS})
            replaced = replica.fleet.known[revision(1)]
            assert replaced.state is ResidentState.DRAINING
            newcomer = asyncio.create_task(replica.use(names[2]))
            while not replaced.is_closing:  # noqa: ASYNC110  # time has to pass
                await asyncio.sleep(0.001)
        await newcomer

        assert replica.states() == {1: ResidentState.UNLOADED, 2: ResidentState.LIVE, 3: ResidentState.LIVE}
