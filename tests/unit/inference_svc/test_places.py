"""The engine's places for adapters: who makes room for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from inference_svc.app import aliases, canaries, places
from inference_svc.app.fleet import Fleet
from inference_svc.domain.residency import Resident, ResidentState, quarantined
from shared.adapter.canary import CanarySplit
from shared.errors import DomainError, StateConflict
from shared.names import AliasName, RevisionName
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

    async def test_who_waits_for_one_that_is_opened_again_need_not_wait_for_its_turn(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The newcomer for which it was closed may have gone, and others may stand in the line before."""
        monkeypatch.setattr(places, "_PATIENCE_SECONDS", 0.001)
        names = [str(replica.publish(number)) for number in (1, 2, 3, 4)]
        async with replica.fleet.lease(names[0]), replica.fleet.lease(names[1]):
            first, second = (replica.fleet.known[revision(number)] for number in (1, 2))
            first.warmth = second.warmth - 1
            newcomer = asyncio.create_task(replica.use(names[2]))
            await until(lambda: first.is_closing)
            second.warmth = first.warmth - 1
            another = asyncio.create_task(replica.use(names[3]))
            await let_run()
            overlapping = asyncio.create_task(replica.use(names[0]))
            await let_run()
            assert not overlapping.done()
            newcomer.cancel()
            await asyncio.wait_for(overlapping, 20)
            assert not another.done()
        await another

    async def test_who_waits_for_one_that_is_found_out_meanwhile_is_told(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It leaves the engine rejected, and never comes back."""
        monkeypatch.setattr(places, "_PATIENCE_SECONDS", 0.001)
        names = [str(replica.publish(number)) for number in (1, 2, 3)]
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(replica.fleet.lease(names[0]))
            async with replica.fleet.lease(names[1]):
                first = replica.fleet.known[revision(1)]
                first.warmth -= 1
                newcomer = asyncio.create_task(replica.use(names[2]))
                await until(lambda: first.is_closing)
                waiting = asyncio.create_task(replica.use(names[0]))
                await let_run()
                found = quarantined("it computed NaN")
                assert not await stack.__aexit__(type(found), found, None)
                await newcomer
                with pytest.raises(StateConflict, match="NaN"):
                    await waiting


class Background:
    """Two busy revisions in two places; the alias means the first."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.names = [str(replica.publish(number)) for number in (1, 2, 3, 4)]
        replica.fleet.point(ALIAS, revision(1))

    @property
    def first(self) -> Resident:
        """What the alias means."""
        return self.replica.fleet.known[revision(1)]

    @property
    def second(self) -> Resident:
        """Another."""
        return self.replica.fleet.known[revision(2)]

    def try_canary(self) -> None:
        """Begins to load the third as a canary."""
        self.replica.fleet.point(ALIAS, revision(1), CanarySplit(revision(3), 50))


class TestBackground:
    """Loads that no request waits for."""

    async def test_close_nobody(self, replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hot revisions would displace each other without end; the load gives up, and is tried again."""
        monkeypatch.setattr(places, "_PATIENCE_SECONDS", 0.001)
        monkeypatch.setattr(places, "_MAX_WAIT_SECONDS", 0.02)
        given_up = _failures(monkeypatch)
        these = Background(replica)
        async with replica.fleet.lease(these.names[0]), replica.fleet.lease(these.names[1]):
            these.try_canary()
            while len(given_up) < 2:
                assert not these.first.is_closing
                assert not these.second.is_closing
                await asyncio.sleep(0.001)
        assert {reason for reason, _ in given_up} == {"ADAPTER_NOT_READY"}
        monkeypatch.setattr(places, "_LATELY_SECONDS", 0.0)
        await until(lambda: replica.states()[3] is ResidentState.LIVE)
        await replica.fleet.stop()

    async def test_leave_alone_what_was_used_a_moment_ago(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its next request may be on its way; later it makes room."""
        monkeypatch.setattr(places, "_PATIENCE_SECONDS", 0.001)
        monkeypatch.setattr(places, "_MAX_WAIT_SECONDS", 0.02)
        monkeypatch.setattr(places, "_LATELY_SECONDS", 1e6)
        given_up = _failures(monkeypatch)
        these = Background(replica)
        async with replica.fleet.lease(these.names[0]):
            await replica.use(these.names[1])
            these.try_canary()
            await until(lambda: bool(given_up))
            during = replica.states()
            monkeypatch.setattr(places, "_LATELY_SECONDS", 0.0)
            await until(lambda: replica.states()[3] is ResidentState.LIVE)

        assert during[2] is ResidentState.LIVE
        assert replica.states() == {1: ResidentState.LIVE, 2: ResidentState.UNLOADED, 3: ResidentState.LIVE}
        await replica.fleet.stop()

    async def test_of_a_promotion_takes_the_place_of_what_it_replaces(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However warm that is: it leaves anyway, and nobody else has to. Its requests wait for the new one then."""
        monkeypatch.setattr(places, "_PATIENCE_SECONDS", 0.001)
        these = Background(replica)
        async with replica.fleet.lease(these.names[1]):
            async with replica.fleet.lease(these.names[0]):
                these.second.warmth = these.first.warmth - 1
                replica.fleet.point(ALIAS, revision(3))
                await until(lambda: these.first.is_closing)
                asking = asyncio.create_task(replica.use(ADAPTER))
                await let_run()
                assert not asking.done()
                assert not these.second.is_closing
            await asking
            await replica.settle()

        assert replica.states() == {1: ResidentState.UNLOADED, 2: ResidentState.LIVE, 3: ResidentState.LIVE}

    async def test_close_nothing_that_another_alias_means(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a promotion replaces under one alias may be hot under another."""
        monkeypatch.setattr(places, "_PATIENCE_SECONDS", 0.001)
        monkeypatch.setattr(places, "_MAX_WAIT_SECONDS", 0.02)
        given_up = _failures(monkeypatch)
        these = Background(replica)
        async with replica.fleet.lease(these.names[0]), replica.fleet.lease(these.names[1]):
            replica.fleet.point(AliasName("acme", "answer", "stable"), revision(1))
            replica.fleet.point(ALIAS, revision(3))
            await until(lambda: bool(given_up))
            assert not these.first.is_closing
        await replica.fleet.stop()

    async def test_of_what_is_pinned_need_not_be_asked_for(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The operator has given it a place: whatever else is busy has to make room, as for a request."""
        monkeypatch.setattr(places, "_PATIENCE_SECONDS", 0.001)
        these = Background(replica)
        await replica.settle()
        async with replica.fleet.lease(these.names[1]):
            async with replica.fleet.lease(these.names[2]):
                assert replica.states()[1] is ResidentState.UNLOADED
                these.second.warmth += 1
                replica.fleet.pin({ALIAS})
                await until(lambda: replica.fleet.known[revision(3)].is_closing)
            await replica.fleet.pinned()

        assert replica.states() == {1: ResidentState.LIVE, 2: ResidentState.LIVE, 3: ResidentState.UNLOADED}

    async def test_press_as_soon_as_a_request_waits_for_them(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It joins the load that is there, which closes one that is never idle then, as any request's does."""
        monkeypatch.setattr(places, "_PATIENCE_SECONDS", 0.001)
        these = Background(replica)
        async with replica.fleet.lease(these.names[0]), AsyncExitStack() as stack:
            await stack.enter_async_context(replica.fleet.lease(these.names[1]))
            these.second.warmth = these.first.warmth - 1
            these.try_canary()
            await let_run()
            asking = asyncio.create_task(replica.use(these.names[2]))
            await until(lambda: these.second.is_closing)
            await stack.aclose()
            await asking
        assert replica.states() == {1: ResidentState.LIVE, 2: ResidentState.UNLOADED, 3: ResidentState.LIVE}
        await replica.fleet.stop()

    async def test_come_after_every_request(self, replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also after one that came later: nobody waits for a load that nobody waits for."""
        monkeypatch.setattr(places, "_LATELY_SECONDS", 0.0)
        these = Background(replica)
        async with replica.fleet.lease(these.names[0]):
            async with replica.fleet.lease(these.names[1]):
                these.try_canary()
                await let_run()
                asking = asyncio.create_task(replica.use(these.names[3]))
                await let_run()
            async with replica.fleet.lease(these.names[3]):
                await asking
                assert replica.states()[3] is ResidentState.REGISTERED
        await replica.fleet.stop()


def _failures(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, RevisionName]]:
    """Loads in the background that failed from now on, each tried again soon."""
    monkeypatch.setattr(aliases, "_FIRST_RETRY_SECONDS", 0.001)
    monkeypatch.setattr(canaries, "_FIRST_RETRY_SECONDS", 0.001)
    failed: list[tuple[str, RevisionName]] = []
    ensure = Fleet.ensure

    async def noted(fleet: Fleet, name: RevisionName, *, replaces: RevisionName | None = None) -> Resident:
        try:
            return await ensure(fleet, name, replaces=replaces)
        except DomainError as err:
            failed.append((err.reason, name))
            raise

    monkeypatch.setattr(Fleet, "ensure", noted)
    return failed


async def until(condition: Callable[[], bool]) -> None:
    """Lets time pass until it holds."""
    while not condition():  # noqa: ASYNC110  # time has to pass
        await asyncio.sleep(0.001)
