"""The adapter revisions of a replica: who holds one, and what is loaded for whom."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from inference_svc.app import roster
from inference_svc.domain.residency import AdapterKey, ResidentState, quarantined
from shared.errors import StateConflict
from shared.names import RevisionName
from tests.unit.inference_svc.conftest import ALIAS, Replica, let_run, revision

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


class TestLease:
    """Who may use an adapter."""

    async def test_loads_are_single_flight(self, replica: Replica) -> None:
        """Many first requests of a revision fetch it once."""
        name = str(replica.publish(1))

        async def use() -> None:
            async with replica.fleet.lease(name) as resident:
                assert resident.state is ResidentState.LIVE

        await asyncio.gather(*(use() for _ in range(10)))

        assert replica.registry.downloads == 1

    async def test_who_waited_for_a_load_has_its_turn_before_another_evicts(self, replica: Replica) -> None:
        """However many come for one place: each load serves those who waited for it, or all would load for ever."""
        names = [str(replica.publish(number)) for number in range(1, 8)]
        loads: list[str] = []
        add = replica.engine.add_adapter

        async def noted(key: AdapterKey) -> None:
            loads.append(key.name)
            await add(key)

        replica.engine.add_adapter = noted  # type: ignore[method-assign]  # notes what passes
        async with replica.fleet.lease(names[0]):
            await asyncio.gather(*(replica.use(name) for name in names[1:] for _ in range(3)))

        assert len(loads) == len(names)

    async def test_nobody_joins_a_load_that_is_being_cancelled(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who comes while the last caller's load is cleaned up gets one of its own."""
        name, cleaned = str(replica.publish(1, canary=(5, 6))), asyncio.Event()
        remove = replica.engine.remove_adapter

        async def slowly(key: AdapterKey) -> None:
            await cleaned.wait()
            await remove(key)

        monkeypatch.setattr(replica.engine, "remove_adapter", slowly)
        replica.engine.gate.clear()
        gone = asyncio.create_task(replica.use(name))
        await replica.engine.entered.wait()
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        comes = asyncio.create_task(replica.use(name))
        await let_run()
        replica.engine.lie = [5, 6]
        replica.engine.gate.set()
        cleaned.set()

        await asyncio.wait_for(comes, 20)
        assert replica.states() == {1: ResidentState.LIVE}

    async def test_only_so_many_are_remembered(self, replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
        """Revisions that left the engine are forgotten, the oldest first, unless an alias means them."""
        monkeypatch.setattr(roster, "_MAX_REMEMBERED", 4)
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        for number in range(2, 11):
            await replica.use(str(replica.publish(number)))

        known = {resident.revision.number for resident, _ in replica.fleet.residents("acme")}

        assert known >= {1, 9, 10}
        assert len(known) <= 4 + 2 + 1
        async with replica.fleet.lease(str(revision(3))) as back:
            assert back.state is ResidentState.LIVE

    async def test_what_never_came_in_is_forgotten_too(self, replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
        """A replica follows every alias of the registry: what nobody asked for here must not stay known for ever."""
        monkeypatch.setattr(roster, "_MAX_REMEMBERED", 4)
        for number in range(1, 21):
            replica.fleet.point(ALIAS, revision(number))

        known = {resident.revision.number for resident, _ in replica.fleet.residents("acme")}

        assert 20 in known
        assert len(known) <= 4 + 2 + 1
        await replica.fleet.stop()

    async def test_what_waits_for_a_place_is_not_forgotten(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It would come in as somebody unknown, and again, as another, at its next use: one would unload the other."""
        monkeypatch.setattr(roster, "_MAX_REMEMBERED", 2)
        names = [str(replica.publish(number)) for number in (1, 2, 3)]
        async with replica.fleet.lease(names[0]), replica.fleet.lease(names[1]):
            waiting = asyncio.create_task(replica.use(names[2]))
            await let_run()
            waits = replica.fleet.known[revision(3)]
            for number in range(4, 20):
                replica.fleet.point(ALIAS, revision(number))
            assert replica.fleet.known[revision(3)] is waits
        await waiting

        assert replica.states()[3] is ResidentState.LIVE
        await replica.fleet.stop()

    async def test_files_stay_of_what_came_in_during_a_download(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The download makes room on the disk at its end, by when the engine may read what nobody used before."""
        first, second = str(replica.publish(1)), str(replica.publish(2))
        await replica.use(first)
        replica.fleet.engine_lost()
        monkeypatch.setattr(replica.fleet._arrivals._loader._cache, "_max_bytes", 1)
        go_on, download = asyncio.Event(), replica.registry.download

        async def slow(name: RevisionName, folder: Path) -> None:
            await go_on.wait()
            await download(name, folder)

        monkeypatch.setattr(replica.registry, "download", slow)
        loading = asyncio.create_task(replica.use(second))
        await let_run()
        async with replica.fleet.lease(first) as resident:
            go_on.set()
            await loading
            assert replica.fleet._arrivals._loader._cache.find(resident.digest) is not None

    async def test_one_that_is_found_out_while_it_comes_back_does_not_serve(self, replica: Replica) -> None:
        """A request of before the engine's death tells at last; served but barred, it would outlive its next death."""
        name = str(replica.publish(1, canary=(5, 6)))
        replica.engine.lie = [5, 6]
        stack = AsyncExitStack()
        await stack.enter_async_context(replica.fleet.lease(name))
        replica.fleet.engine_lost()
        replica.fleet._arrivals._loader._proved.clear()
        replica.engine.entered.clear()
        replica.engine.gate.clear()
        back = asyncio.create_task(replica.use(name))
        await replica.engine.entered.wait()
        found = quarantined("it computed NaN")
        assert not await stack.__aexit__(type(found), found, None)
        replica.engine.gate.set()
        with pytest.raises(StateConflict, match="NaN"):
            await back
        replica.fleet.engine_lost()

        assert replica.states() == {1: ResidentState.REJECTED}

    async def test_a_load_that_nobody_waits_for_ends(self, replica: Replica) -> None:
        """Callers who gave up leave no work behind: the place goes to somebody else."""
        names = [str(replica.publish(number)) for number in (1, 2, 3)]
        async with replica.fleet.lease(names[0]), replica.fleet.lease(names[1]):
            gone = asyncio.create_task(replica.use(names[2]))
            await let_run()
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            await let_run()
        await let_run()

        assert replica.registry.downloads == 2
        assert replica.states()[3] is ResidentState.REGISTERED
