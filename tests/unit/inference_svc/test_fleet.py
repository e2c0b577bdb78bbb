"""The adapter revisions of a replica: watches, leases, loads and their checks."""

from __future__ import annotations

import asyncio
import errno
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest

from inference_svc.app import roster
from inference_svc.domain.residency import MOVES, AdapterKey, ResidentState, quarantined
from shared.errors import DataLoss, StateConflict, Unavailable
from shared.names import RevisionName
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, Replica, let_run, revision

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


class TestWatch:
    """What a tenant is told of its adapters."""

    async def test_gives_the_present_then_every_change(self, replica: Replica) -> None:
        """Those of one revision in the order of its life, however many of them the reader is in time for."""
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        told: list[tuple[int, ResidentState, tuple[str, ...]]] = []

        replaced = {(1, ResidentState.UNLOADED, ()), (2, ResidentState.LIVE, (str(ALIAS),))}

        async def follow() -> None:
            async with aclosing(replica.fleet.watch("acme")) as changes:
                async for change in changes:
                    assert change is not None
                    told.append((change[0].revision.number, change[0].state, tuple(change[1])))
                    if replaced <= set(told):
                        return

        watching = asyncio.create_task(follow())
        await asyncio.sleep(0)
        replica.fleet.point(ALIAS, replica.publish(2))
        await asyncio.wait_for(watching, 20)

        assert told[0] == (1, ResidentState.LIVE, (str(ALIAS),))
        states = [state for number, state, _ in told if number == 2]
        assert states == sorted(states, key=list(ResidentState).index)
        assert states[-1] is ResidentState.LIVE

    async def test_tells_nothing_of_other_tenants(self, replica: Replica) -> None:
        """Not even that something happened."""
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()

        async with aclosing(replica.fleet.watch("globex")) as changes:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(changes), 0.05)

    async def test_ends_when_the_process_drains(self, replica: Replica) -> None:
        """With what is worth a retry elsewhere."""
        watching = asyncio.create_task(anext(replica.fleet.watch("acme")))
        await asyncio.sleep(0)
        replica.fleet.close_watches()

        with pytest.raises(Unavailable, match="drains"):
            await watching

    async def test_a_revision_proves_itself_before_it_is_live(self, replica: Replica) -> None:
        """While its canaries run it is PROVING and serves nobody: who asks waits."""
        replica.engine.gate.clear()
        replica.engine.lie = [5, 6]
        replica.fleet.point(ALIAS, replica.publish(1, canary=(5, 6)))
        await replica.engine.entered.wait()
        asking = asyncio.create_task(replica.use(ADAPTER))
        await let_run()

        assert replica.states() == {1: ResidentState.PROVING}
        assert not asking.done()
        replica.engine.gate.set()
        await asking
        assert replica.states() == {1: ResidentState.LIVE}


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


class TestChecks:
    """What a revision must pass."""

    async def test_a_full_disk_is_worth_a_retry(self, replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
        """It says nothing about the revision, which is loaded once there is room; nothing half is left."""
        name = str(replica.publish(1))

        async def download(revision: RevisionName, folder: Path) -> None:
            (folder / "half").write_bytes(b"x")
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as full:
            full.setattr(replica.registry, "download", download)
            with pytest.raises(Unavailable, match="No space left") as caught:
                await replica.use(name)
        left = list((replica.folder / "adapters").iterdir())
        await replica.use(name)

        assert caught.value.retry_after_seconds
        assert left == []
        assert replica.states() == {1: ResidentState.LIVE}

    async def test_other_bytes_than_the_registry_says_are_rejected(self, replica: Replica) -> None:
        """A package whose manifest has another digest never reaches the engine."""
        name = replica.publish(1)
        replica.registry.digests[name] = "sha256:" + "0" * 64

        with pytest.raises(DataLoss):
            async with replica.fleet.lease(str(name)):
                pass

        assert replica.states() == {1: ResidentState.REJECTED}
        assert replica.engine.adapters == set()

    async def test_what_the_engine_refuses_is_rejected(self, replica: Replica) -> None:
        """With the engine's reason, and nothing of it stays there."""
        name = replica.publish(1)
        replica.engine.refused.add("acme/answer/1")

        with pytest.raises(StateConflict, match="refused by the engine"):
            async with replica.fleet.lease(str(name)):
                pass

        assert replica.states() == {1: ResidentState.REJECTED}
        assert replica.engine.adapters == set()

    async def test_canaries_that_differ_reject_it(self, replica: Replica) -> None:
        """An adapter that does not answer as its trainer saw is removed from the engine again."""
        name = replica.publish(1, canary=(7, 7, 7, 7))

        with pytest.raises(Exception, match="canary"):
            async with replica.fleet.lease(str(name)):
                pass

        assert replica.engine.adapters == set()


class TestMoves:
    """The table of states."""

    async def test_final_state_is_rejection_only(self) -> None:
        """Every other state leads on, and LIVE is reached only through PROVING or back from DRAINING."""
        assert [state for state, moves in MOVES.items() if not moves] == [ResidentState.REJECTED]
        before_live = {state for state, moves in MOVES.items() if ResidentState.LIVE in moves}
        assert before_live == {ResidentState.PROVING, ResidentState.DRAINING}
