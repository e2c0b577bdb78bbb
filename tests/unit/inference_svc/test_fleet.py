"""The adapter revisions of a replica: watches, checks and moves."""

from __future__ import annotations

import asyncio
import errno
from contextlib import aclosing
from pathlib import Path

import pytest

from inference_svc.domain.residency import MOVES, ResidentState
from shared.errors import DataLoss, StateConflict, Unavailable
from shared.names import RevisionName
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, Replica, let_run

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
