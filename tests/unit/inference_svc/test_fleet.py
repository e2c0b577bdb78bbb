"""The adapters of a replica: promotion, leases, rejection, room."""

from __future__ import annotations

import asyncio
import errno
from contextlib import aclosing
from pathlib import Path

import pytest

from inference_svc.app import fleet, places
from inference_svc.app.places import whose_turn_it_is
from inference_svc.domain.residency import MOVES, AdapterKey, Resident, ResidentState
from shared.errors import DataLoss, InvalidInput, NotFound, StateConflict, Unavailable
from shared.names import RevisionName
from tests.unit.inference_svc.conftest import ALIAS, Replica, revision

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]

ADAPTER = "tenants/acme/adapters/answer"


def _states(replica: Replica) -> dict[int, ResidentState]:
    return {resident.revision.number: resident.state for resident, _ in replica.fleet.residents("acme")}


class TestPromotion:
    """Aliases and what they mean here."""

    async def test_a_revision_serves_under_its_alias(self, replica: Replica) -> None:
        """After a promotion the adapter, its alias and its revision all name the same resident."""
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()

        for name in (ADAPTER, str(ALIAS), str(revision(1))):
            async with replica.fleet.lease(name) as resident:
                assert resident.revision == revision(1)
                assert resident.state is ResidentState.LIVE

    async def test_a_request_ends_on_the_revision_it_began_with(self, replica: Replica) -> None:
        """The old revision stays in the engine until its last lease ends, and is removed then."""
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        async with replica.fleet.lease(ADAPTER) as old:
            replica.fleet.point(ALIAS, replica.publish(2))
            await replica.settle()
            async with replica.fleet.lease(ADAPTER) as new:
                assert new.revision == revision(2)
            assert old.key in replica.engine.adapters
            assert _states(replica) == {1: ResidentState.DRAINING, 2: ResidentState.LIVE}

        assert old.key not in replica.engine.adapters
        assert _states(replica) == {1: ResidentState.UNLOADED, 2: ResidentState.LIVE}

    async def test_two_revisions_of_the_same_content_are_two_adapters(self, replica: Replica) -> None:
        """The same data trained twice gives the same bytes: the older one leaves the engine alone."""
        first = replica.publish(1)
        for table in (replica.registry.packages, replica.registry.digests):
            table[revision(2)] = table[first]
        replica.fleet.point(ALIAS, first)
        await replica.settle()
        replica.fleet.point(ALIAS, revision(2))
        await replica.settle()

        async with replica.fleet.lease(ADAPTER) as resident:
            assert resident.revision == revision(2)
            assert list(replica.engine.adapters) == [resident.key]
        assert _states(replica) == {1: ResidentState.UNLOADED, 2: ResidentState.LIVE}

    async def test_a_rejected_revision_leaves_the_old_one_serving(self, replica: Replica) -> None:
        """A revision that fails its checks never serves; its reason is kept and nothing stays in the engine."""
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        replica.fleet.point(ALIAS, replica.publish(2, prompt_digest="sha256:" + "f" * 64))
        await replica.settle()

        async with replica.fleet.lease(ADAPTER) as resident:
            assert resident.revision == revision(1)
        rejected = next(r for r, _ in replica.fleet.residents("acme") if r.revision == revision(2))
        assert rejected.state is ResidentState.REJECTED
        assert rejected.rejection.startswith("BASE_MODEL_MISMATCH")
        assert len(replica.engine.adapters) == 1

    async def test_rolling_back_needs_no_download(self, replica: Replica) -> None:
        """The old revision's files are still here."""
        for number in (1, 2):
            replica.fleet.point(ALIAS, replica.publish(number))
            await replica.settle()
        replica.fleet.point(ALIAS, revision(1))
        await replica.settle()

        async with replica.fleet.lease(ADAPTER) as resident:
            assert resident.revision == revision(1)
        assert replica.registry.downloads == 2

    async def test_the_newest_promotion_wins(self, replica: Replica) -> None:
        """Of two promotions asked for at once the later one is served in the end."""
        replica.fleet.point(ALIAS, replica.publish(1))
        replica.fleet.point(ALIAS, replica.publish(2))
        await replica.settle()

        async with replica.fleet.lease(ADAPTER) as resident:
            assert resident.revision == revision(2)

    async def test_a_registry_that_is_away_is_asked_again(self, replica: Replica) -> None:
        """A promotion that failed for want of the registry happens once it is back."""
        name = replica.publish(1)
        packages = dict(replica.registry.packages)
        replica.registry.packages.clear()
        replica.fleet.point(ALIAS, name)
        await replica.registry.asked.wait()

        replica.registry.packages.update(packages)
        await replica.settle()

        async with replica.fleet.lease(ADAPTER) as resident:
            assert resident.revision == revision(1)

    async def test_a_restart_without_the_registry_serves_what_was_served(self, replica: Replica) -> None:
        """Aliases and files are on disk."""
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        replica.registry.packages.clear()
        replica.registry.digests.clear()
        replica.fleet = replica.new_fleet()

        replica.fleet.restore()
        await replica.settle()

        async with replica.fleet.lease(ADAPTER) as resident:
            assert resident.revision == revision(1)


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
        """While its canaries run it is PROVING and serves nobody."""
        replica.engine.gate.clear()
        replica.fleet.point(ALIAS, replica.publish(1, canary=(5, 6)))
        await replica.engine.entered.wait()

        assert _states(replica) == {1: ResidentState.PROVING}
        with pytest.raises(Unavailable):
            async with replica.fleet.lease(ADAPTER):
                pass
        replica.engine.gate.set()
        await replica.settle()

    async def test_a_revision_without_a_place_stays_registered(self, replica: Replica) -> None:
        """Both places are in use: the third waits, and whoever asks is told so."""
        names = [f"{ADAPTER}/revisions/{replica.publish(number).number}" for number in (1, 2, 3)]
        async with replica.fleet.lease(names[0]), replica.fleet.lease(names[1]):
            waiting = asyncio.create_task(_use(replica, names[2]))
            await _let_run()
            assert _states(replica)[3] is ResidentState.REGISTERED
        await waiting

        assert _states(replica)[3] is ResidentState.LIVE


class TestLease:
    """Who may use an adapter."""

    async def test_an_unknown_adapter_is_not_found(self, replica: Replica) -> None:
        """The error names it."""
        for name in (ADAPTER, f"{ADAPTER}/revisions/7"):
            with pytest.raises(NotFound, match="answer") as caught:
                async with replica.fleet.lease(name):
                    pass
            assert caught.value.reason == "ADAPTER_NOT_FOUND"

    async def test_a_first_revision_that_is_loading_is_worth_a_retry(self, replica: Replica) -> None:
        """Until it serves the answer is UNAVAILABLE with a delay, never another adapter."""
        replica.fleet.point(ALIAS, replica.publish(1))
        with pytest.raises(Unavailable) as caught:
            async with replica.fleet.lease(ADAPTER):
                pass
        await replica.settle()

        assert caught.value.reason == "ADAPTER_NOT_READY"
        assert caught.value.retry_after_seconds

    async def test_malformed_names_are_refused(self, replica: Replica) -> None:
        """Nothing that is no name reaches disk or engine."""
        for name in ("acme", f"{ADAPTER}/../x", f"{ADAPTER}/revisions/0"):
            with pytest.raises(InvalidInput):
                async with replica.fleet.lease(name):
                    pass

    async def test_loads_are_single_flight(self, replica: Replica) -> None:
        """Many first requests of a revision fetch it once."""
        name = str(replica.publish(1))

        async def use() -> None:
            async with replica.fleet.lease(name) as resident:
                assert resident.state is ResidentState.LIVE

        await asyncio.gather(*(use() for _ in range(10)))

        assert replica.registry.downloads == 1

    async def test_the_least_recently_used_makes_room(self, replica: Replica) -> None:
        """A full engine unloads the idle revision that was used longest ago."""
        names = [str(replica.publish(number)) for number in (1, 2, 3)]
        for name in names[:2]:
            async with replica.fleet.lease(name):
                pass
        async with replica.fleet.lease(names[0]):
            pass
        async with replica.fleet.lease(names[2]):
            assert _states(replica) == {1: ResidentState.LIVE, 2: ResidentState.UNLOADED, 3: ResidentState.LIVE}

    async def test_a_newcomer_waits_for_the_first_that_becomes_idle(self, replica: Replica) -> None:
        """When none is idle nobody is refused, and nothing that runs is disturbed."""
        names = [str(replica.publish(number)) for number in (1, 2, 3)]
        async with replica.fleet.lease(names[0]):
            async with replica.fleet.lease(names[1]):
                waiting = asyncio.create_task(_use(replica, names[2]))
                await _let_run()
                assert not waiting.done()
            await waiting
            assert _states(replica) == {1: ResidentState.LIVE, 2: ResidentState.UNLOADED, 3: ResidentState.LIVE}

    async def test_one_that_is_never_idle_is_closed(self, replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
        """Requests that overlap without end would keep a place for ever: later ones wait behind the newcomer."""
        monkeypatch.setattr(places, "_PATIENCE_SECONDS", 0.001)
        names = [str(replica.publish(number)) for number in (1, 2, 3)]
        async with replica.fleet.lease(names[1]):
            async with replica.fleet.lease(names[0]):
                newcomer = asyncio.create_task(_use(replica, names[2]))
                closing = replica.fleet.residents("acme")[1][0]
                while not closing.is_closing:  # noqa: ASYNC110  # time has to pass
                    await asyncio.sleep(0.001)
                overlapping = asyncio.create_task(_use(replica, names[1]))
                await _let_run()
                assert not newcomer.done()
            await newcomer
        await overlapping
        assert not any(resident.is_closing for resident, _ in replica.fleet.residents("acme"))

    async def test_one_tenant_evicts_its_own(self, replica: Replica) -> None:
        """Whoever has most places makes room first, so that a tenant in turn through many adapters harms no other."""
        mine = [Resident(RevisionName("acme", "answer", number), "", _ignore) for number in (1, 2)]
        other = Resident(RevisionName("globex", "answer", 1), "", _ignore)
        for use, resident in enumerate((other, *mine)):
            resident.last_use = use

        assert whose_turn_it_is([other, *mine], [other, *mine]) is mine[0]
        assert whose_turn_it_is([other, mine[0]], [other, mine[0]]) is other

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
        gone = asyncio.create_task(_use(replica, name))
        await replica.engine.entered.wait()
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        comes = asyncio.create_task(_use(replica, name))
        await _let_run()
        replica.engine.lie = [5, 6]
        replica.engine.gate.set()
        cleaned.set()

        await asyncio.wait_for(comes, 20)
        assert _states(replica) == {1: ResidentState.LIVE}

    async def test_only_so_many_are_remembered(self, replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
        """Revisions that left the engine are forgotten, the oldest first, unless an alias means them."""
        monkeypatch.setattr(fleet, "_MAX_REMEMBERED", 4)
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        for number in range(2, 11):
            await _use(replica, str(replica.publish(number)))

        known = {resident.revision.number for resident, _ in replica.fleet.residents("acme")}

        assert known >= {1, 9, 10}
        assert len(known) <= 4 + 2 + 1
        async with replica.fleet.lease(str(revision(3))) as back:
            assert back.state is ResidentState.LIVE

    async def test_a_load_that_nobody_waits_for_ends(self, replica: Replica) -> None:
        """Callers who gave up leave no work behind: the place goes to somebody else."""
        names = [str(replica.publish(number)) for number in (1, 2, 3)]
        async with replica.fleet.lease(names[0]), replica.fleet.lease(names[1]):
            gone = asyncio.create_task(_use(replica, names[2]))
            await _let_run()
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            await _let_run()
        await _let_run()

        assert replica.registry.downloads == 2
        assert _states(replica)[3] is ResidentState.REGISTERED


async def _use(replica: Replica, name: str) -> None:
    async with replica.fleet.lease(name):
        pass


async def _let_run() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def _ignore(before: ResidentState, seconds: float) -> None:
    """Nobody watches."""


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
                await _use(replica, name)
        left = list((replica.folder / "adapters").iterdir())
        await _use(replica, name)

        assert caught.value.retry_after_seconds
        assert left == []
        assert _states(replica) == {1: ResidentState.LIVE}

    async def test_other_bytes_than_the_registry_says_are_rejected(self, replica: Replica) -> None:
        """A package whose manifest has another digest never reaches the engine."""
        name = replica.publish(1)
        replica.registry.digests[name] = "sha256:" + "0" * 64

        with pytest.raises(DataLoss):
            async with replica.fleet.lease(str(name)):
                pass

        assert _states(replica) == {1: ResidentState.REJECTED}
        assert replica.engine.adapters == set()

    async def test_what_the_engine_refuses_is_rejected(self, replica: Replica) -> None:
        """With the engine's reason, and nothing of it stays there."""
        name = replica.publish(1)
        replica.engine.refused.add("acme/answer/1")

        with pytest.raises(StateConflict, match="refused by the engine"):
            async with replica.fleet.lease(str(name)):
                pass

        assert _states(replica) == {1: ResidentState.REJECTED}
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
