"""Canaries of a replica: who gets one."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from inference_svc.app import places, roster, saver
from inference_svc.domain.canary_choice import CanaryChoice
from inference_svc.domain.residency import ResidentState
from shared.files import write_atomic
from shared.names import AliasName
from tests.unit.inference_svc.canary_trial import HALF, START, ask, settled
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, Replica, let_run, revision

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


class TestSplit:
    """Who gets the canary."""

    async def test_is_drawn_by_weight(self, trial: Replica) -> None:
        """A request for the adapter or the alias, independently of all others."""
        answered = Counter([await ask(trial, adapter=name) for name in (ADAPTER, str(ALIAS)) for _ in range(100)])

        assert set(answered) == {1, 2}
        assert 70 <= answered[2] <= 130

    async def test_can_be_chosen_by_the_caller(self, trial: Replica) -> None:
        """Always or never, whatever the weight; a revision that is named is that revision."""
        chosen = {choice: {await ask(trial, choice) for _ in range(8)} for choice in CanaryChoice}
        named = {await ask(trial, adapter=str(revision(1))) for _ in range(8)}

        assert chosen == {CanaryChoice.ALWAYS: {2}, CanaryChoice.NEVER: {1}, CanaryChoice.DRAWN: {1, 2}}
        assert named == {1}

    async def test_gives_nothing_to_a_canary_that_is_being_loaded(self, replica: Replica) -> None:
        """Nobody waits for it, even who asks for it always; once it serves they get it."""
        replica.fleet.point(ALIAS, replica.publish(1))
        await settled(replica)
        canary = replica.publish(2, canary=(5, 6))
        replica.engine.gate.clear()
        replica.fleet.point(ALIAS, revision(1), replace(HALF, revision=canary))
        await replica.engine.entered.wait()

        assert replica.states()[2] is ResidentState.PROVING
        name, _ = replica.fleet.draw(ADAPTER, CanaryChoice.ALWAYS)
        assert name == ADAPTER
        assert replica.fleet.canary_shares(canary) == [(str(ALIAS), 0)]
        replica.engine.lie = [5, 6]
        replica.engine.gate.set()
        await settled(replica)
        replica.engine.lie = None

        assert await ask(replica, CanaryChoice.ALWAYS) == 2
        assert replica.fleet.canary_shares(canary) == [(str(ALIAS), 50)]

    async def test_gives_nothing_to_a_canary_that_was_rejected(self, replica: Replica) -> None:
        """Everybody gets the alias's own revision, and the reason is there to be seen."""
        replica.fleet.point(ALIAS, replica.publish(1))
        bad = replica.publish(2, prompt_digest="sha256:" + "f" * 64)
        replica.fleet.point(ALIAS, revision(1), replace(HALF, revision=bad))
        await settled(replica)

        assert {await ask(replica, choice) for choice in CanaryChoice for _ in range(8)} == {1}
        (rejected,) = (found for found, _ in replica.fleet.residents("acme") if found.revision == bad)
        assert rejected.rejection.startswith("BASE_MODEL_MISMATCH")
        assert replica.fleet.canary_shares(bad) == [(str(ALIAS), 0)]

    async def test_waits_for_the_revision_that_it_is_beside(self, trial: Replica) -> None:
        """While another one still answers for the alias there would be nothing to compare with."""
        del trial.registry.digests[trial.publish(3)]
        trial.fleet.point(ALIAS, revision(3), replace(HALF, start_time=START + timedelta(seconds=1)))
        await let_run()

        assert {await ask(trial, choice) for choice in CanaryChoice for _ in range(4)} == {1}

    async def test_is_back_after_a_restart_of_the_engine(self, trial: Replica) -> None:
        """What is on trial is meant, as what an alias means is."""
        await ask(trial, CanaryChoice.NEVER)
        trial.fleet.engine_lost()
        trial.engine.adapters.clear()
        await trial.fleet.engine_back()

        assert trial.states() == {1: ResidentState.LIVE, 2: ResidentState.LIVE}

    async def test_is_remembered_while_it_is_on_trial(self, trial: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
        """However many others came and went since it had to make room."""
        monkeypatch.setattr(roster, "_MAX_REMEMBERED", 2)
        for number in range(3, 10):
            await trial.use(str(trial.publish(number)))

        assert trial.states()[2] is ResidentState.UNLOADED
        assert len(trial.states()) < 9

    async def test_is_followed_as_it_changes(self, trial: Replica) -> None:
        """Weights change at once; when it ends a request on the canary ends on it, and the next gets the other."""
        trial.fleet.point(ALIAS, revision(1), replace(HALF, percent=99))
        assert Counter([await ask(trial) for _ in range(60)])[2] > 50

        async with trial.fleet.lease(trial.fleet.draw(ADAPTER, CanaryChoice.ALWAYS)[0]) as begun:
            trial.fleet.point(ALIAS, revision(1))
            await settled(trial)
            assert await ask(trial, CanaryChoice.ALWAYS) == 1
            assert begun.revision == revision(2)
            assert trial.states() == {1: ResidentState.LIVE, 2: ResidentState.DRAINING}

        assert trial.states() == {1: ResidentState.LIVE, 2: ResidentState.UNLOADED}

    async def test_ends_in_a_promotion(self, trial: Replica) -> None:
        """The canary is loaded already: it is the alias's revision at once, and the other one leaves."""
        downloads = trial.registry.downloads
        trial.fleet.point(ALIAS, revision(2))
        await settled(trial)

        assert {await ask(trial, choice) for choice in CanaryChoice} == {2}
        assert trial.states() == {1: ResidentState.UNLOADED, 2: ResidentState.LIVE}
        assert trial.registry.downloads == downloads

    async def test_takes_a_canary_up_again_that_was_evicted(
        self, trial: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Requests go to the alias's own revision meanwhile."""
        monkeypatch.setattr(places, "_UNUSED_SECONDS", 0.0)
        async with trial.fleet.lease(str(revision(1))), trial.fleet.lease(str(trial.publish(3))):
            assert trial.states()[2] is ResidentState.UNLOADED
        await let_run()
        assert await ask(trial, CanaryChoice.ALWAYS) == 1
        await settled(trial)

        assert await ask(trial, CanaryChoice.ALWAYS) == 2

    async def test_is_saved_once_for_many(self, replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
        """A registry that tells hundreds of them at once, or a restart, does not stop the loop for a write of each."""
        writes: list[int] = []

        def write(path: Path, data: bytes) -> None:
            writes.append(threading.get_ident())
            write_atomic(path, data)

        monkeypatch.setattr(saver, "write_atomic", write)
        for number in range(100):
            alias = AliasName("acme", "answer", f"a{number}")
            replica.fleet.point(alias, revision(1), HALF)
        await replica.fleet._canaries._file.saved()
        again = Replica(replica.base, replica.folder)
        again.fleet.restore()

        assert len(again.fleet.canary_shares(revision(2))) == 100
        assert len(writes) < 5
        assert threading.get_ident() not in writes
        await replica.fleet.stop()
        await again.fleet.stop()

    async def test_outlives_a_restart_without_the_registry(self, trial: Replica) -> None:
        """Weights and files are on disk."""
        trial.registry.packages.clear()
        trial.registry.digests.clear()
        again = Replica(trial.base, trial.folder)
        again.fleet.restore()
        await settled(again)

        assert {await ask(again) for _ in range(20)} == {1, 2}
