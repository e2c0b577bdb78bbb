"""Canaries of a replica: who gets one, what it is blamed for, and how it is taken back."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import re
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from inference_svc.app import roster, saver
from inference_svc.app.ports import EngineCall, EngineChunk
from inference_svc.domain.canary_choice import CanaryChoice
from inference_svc.domain.generation import Answer, Question, Sampling
from inference_svc.domain.residency import QUARANTINED, ResidentState, quarantined
from shared.adapter.canary import CanarySplit, RollbackPolicy, RollbackReason
from shared.errors import DomainError, InternalFault, StateConflict, Unavailable
from shared.files import write_atomic
from shared.names import AliasName
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, Replica, let_run, revision

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]

START = datetime(2026, 1, 1, tzinfo=UTC)
HALF = CanarySplit(revision(2), 50, start_time=START)
QUESTION = Question(
    adapter=ADAPTER, input="is it so?", instructions="", contract="", kind=None, sampling=Sampling(),
    deadline_seconds=20.0,
)  # fmt: skip


@pytest_asyncio.fixture
async def trial(replica: Replica) -> Replica:
    """Revision 1 is live, revision 2 a canary at one half; both are in the engine."""
    replica.fleet.point(ALIAS, replica.publish(1), replace(HALF, revision=replica.publish(2)))
    await _settled(replica)
    await replica.use(ADAPTER)
    await replica.settle()
    return replica


async def _settled(replica: Replica) -> None:
    """Waits until promotions, loads of canaries, and reports to the registry are over."""
    await replica.settle()
    while replica.fleet._canaries._tasks:
        await asyncio.gather(*replica.fleet._canaries._tasks, return_exceptions=True)
    await replica.fleet._canaries._file.saved()


async def _ask(replica: Replica, choice: CanaryChoice = CanaryChoice.DRAWN, adapter: str = ADAPTER) -> int:
    """Number of the revision that answers."""
    answer = await replica.answering.answer(replace(QUESTION, adapter=adapter, canary=choice))
    assert isinstance(answer, Answer)
    return int(answer.revision.rpartition("/")[2])


async def _ask_until_rolled_back(replica: Replica, limit: int) -> int:
    """Requests until the canary gets nothing any more; those of the canary break their contract."""
    for number in range(limit):
        if replica.fleet.canary_shares(revision(2)) in ([(str(ALIAS), 0)], []):
            return number
        replica.engine.broken.add("acme/answer/2")
        with contextlib.suppress(InternalFault, StateConflict):
            await _ask(replica)
    raise AssertionError(f"not rolled back after {limit} requests")


class TestSplit:
    """Who gets the canary."""

    async def test_is_drawn_by_weight(self, trial: Replica) -> None:
        """A request for the adapter or the alias, independently of all others."""
        answered = Counter([await _ask(trial, adapter=name) for name in (ADAPTER, str(ALIAS)) for _ in range(100)])

        assert set(answered) == {1, 2}
        assert 70 <= answered[2] <= 130

    async def test_can_be_chosen_by_the_caller(self, trial: Replica) -> None:
        """Always or never, whatever the weight; a revision that is named is that revision."""
        chosen = {choice: {await _ask(trial, choice) for _ in range(8)} for choice in CanaryChoice}
        named = {await _ask(trial, adapter=str(revision(1))) for _ in range(8)}

        assert chosen == {CanaryChoice.ALWAYS: {2}, CanaryChoice.NEVER: {1}, CanaryChoice.DRAWN: {1, 2}}
        assert named == {1}

    async def test_gives_nothing_to_a_canary_that_is_being_loaded(self, replica: Replica) -> None:
        """Nobody waits for it, even who asks for it always; once it serves they get it."""
        replica.fleet.point(ALIAS, replica.publish(1))
        await _settled(replica)
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
        await _settled(replica)
        replica.engine.lie = None

        assert await _ask(replica, CanaryChoice.ALWAYS) == 2
        assert replica.fleet.canary_shares(canary) == [(str(ALIAS), 50)]

    async def test_gives_nothing_to_a_canary_that_was_rejected(self, replica: Replica) -> None:
        """Everybody gets the alias's own revision, and the reason is there to be seen."""
        replica.fleet.point(ALIAS, replica.publish(1))
        bad = replica.publish(2, prompt_digest="sha256:" + "f" * 64)
        replica.fleet.point(ALIAS, revision(1), replace(HALF, revision=bad))
        await _settled(replica)

        assert {await _ask(replica, choice) for choice in CanaryChoice for _ in range(8)} == {1}
        (rejected,) = (found for found, _ in replica.fleet.residents("acme") if found.revision == bad)
        assert rejected.rejection.startswith("BASE_MODEL_MISMATCH")
        assert replica.fleet.canary_shares(bad) == [(str(ALIAS), 0)]

    async def test_waits_for_the_revision_that_it_is_beside(self, trial: Replica) -> None:
        """While another one still answers for the alias there would be nothing to compare with."""
        del trial.registry.digests[trial.publish(3)]
        trial.fleet.point(ALIAS, revision(3), replace(HALF, start_time=START + timedelta(seconds=1)))
        await let_run()

        assert {await _ask(trial, choice) for choice in CanaryChoice for _ in range(4)} == {1}

    async def test_is_back_after_a_restart_of_the_engine(self, trial: Replica) -> None:
        """What is on trial is meant, as what an alias means is."""
        await _ask(trial, CanaryChoice.NEVER)
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
        assert Counter([await _ask(trial) for _ in range(60)])[2] > 50

        async with trial.fleet.lease(trial.fleet.draw(ADAPTER, CanaryChoice.ALWAYS)[0]) as begun:
            trial.fleet.point(ALIAS, revision(1))
            await _settled(trial)
            assert await _ask(trial, CanaryChoice.ALWAYS) == 1
            assert begun.revision == revision(2)
            assert trial.states() == {1: ResidentState.LIVE, 2: ResidentState.DRAINING}

        assert trial.states() == {1: ResidentState.LIVE, 2: ResidentState.UNLOADED}

    async def test_ends_in_a_promotion(self, trial: Replica) -> None:
        """The canary is loaded already: it is the alias's revision at once, and the other one leaves."""
        downloads = trial.registry.downloads
        trial.fleet.point(ALIAS, revision(2))
        await _settled(trial)

        assert {await _ask(trial, choice) for choice in CanaryChoice} == {2}
        assert trial.states() == {1: ResidentState.UNLOADED, 2: ResidentState.LIVE}
        assert trial.registry.downloads == downloads

    async def test_takes_a_canary_up_again_that_was_evicted(self, trial: Replica) -> None:
        """Requests go to the alias's own revision meanwhile."""
        async with trial.fleet.lease(str(revision(1))), trial.fleet.lease(str(trial.publish(3))):
            assert trial.states()[2] is ResidentState.UNLOADED
        await let_run()
        assert await _ask(trial, CanaryChoice.ALWAYS) == 1
        await _settled(trial)

        assert await _ask(trial, CanaryChoice.ALWAYS) == 2

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
        await _settled(again)

        assert {await _ask(again) for _ in range(20)} == {1, 2}


class TestRollback:
    """A canary that is worse."""

    async def test_happens_here_at_once_and_is_told_to_the_registry(self, trial: Replica) -> None:
        """With the reason and the figures; revision 1 answers everybody from then on."""
        await _ask_until_rolled_back(trial, 100)

        assert {await _ask(trial, choice) for choice in CanaryChoice for _ in range(4)} == {1}
        await _settled(trial)
        ((alias, split, reason, figures),) = trial.registry.rollbacks
        assert (alias, split, reason) == (ALIAS, HALF, RollbackReason.ERROR_RATE)
        seen = re.match(r"(\d+) of (\d+) requests, live 0 of (\d+); .*\(look 1\)", figures)
        assert seen is not None
        failed, canary, live = map(int, seen.groups())
        assert failed == canary
        assert min(canary, live) == 8
        assert trial.states()[2] is ResidentState.UNLOADED

    async def test_lets_requests_end_that_began_on_it(self, trial: Replica) -> None:
        """They hold their lease; it leaves the engine after the last."""
        async with trial.fleet.lease(str(revision(2))):
            await _ask_until_rolled_back(trial, 100)
            await _settled(trial)
            assert trial.states()[2] is ResidentState.DRAINING

        assert trial.states()[2] is ResidentState.UNLOADED

    async def test_needs_no_statistics_for_a_canary_that_is_quarantined(
        self, trial: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One answer that is no number is enough, and nobody else gets one."""
        generate = trial.engine.generate

        async def poisoned(call: EngineCall) -> AsyncGenerator[EngineChunk]:
            if call.adapter is not None and call.adapter.name.startswith("acme/answer/2@"):
                raise quarantined("it computed NaN")
            async for chunk in generate(call):
                yield chunk

        monkeypatch.setattr(trial.engine, "generate", poisoned)
        failed = 0
        for _ in range(40):
            try:
                await _ask(trial)
            except StateConflict as err:
                failed += err.reason == QUARANTINED
        await _settled(trial)

        assert failed == 1
        assert [reason for _, _, reason, _ in trial.registry.rollbacks] == [RollbackReason.ERROR_RATE]
        assert trial.states() == {1: ResidentState.LIVE, 2: ResidentState.REJECTED}

    @pytest.mark.parametrize("name", [ADAPTER, str(revision(2))])
    async def test_of_a_quarantined_canary_needs_no_chance_either(self, trial: Replica, name: str) -> None:
        """Who chose it, or named it, finds it out for everybody; else nobody would be drawn to, and the trial stay."""
        with pytest.raises(StateConflict):
            async with trial.fleet.lease(trial.fleet.draw(name, CanaryChoice.ALWAYS)[0]):
                raise quarantined("it computed NaN")
        await _settled(trial)

        assert [reason for _, _, reason, _ in trial.registry.rollbacks] == [RollbackReason.ERROR_RATE]

    async def test_happens_to_a_canary_that_is_barred_for_killing_the_engine(
        self, trial: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The bar may begin while it serves: that it refuses everybody is its own fault."""
        generate = trial.engine.generate

        async def barred(call: EngineCall) -> AsyncGenerator[EngineChunk]:
            if call.adapter is not None and call.adapter.name.startswith("acme/answer/2@"):
                raise StateConflict("ADAPTER_REJECTED", "it is quarantined for 60 minutes", retry_after_seconds=3600.0)
            async for chunk in generate(call):
                yield chunk

        monkeypatch.setattr(trial.engine, "generate", barred)
        await _ask_until_rolled_back(trial, 100)
        await _settled(trial)

        assert [reason for _, _, reason, _ in trial.registry.rollbacks] == [RollbackReason.ERROR_RATE]

    async def test_happens_though_the_disk_is_full(self, trial: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
        """It cannot be kept for a restart then; no request fails for that."""

        def write(path: Path, data: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(saver, "write_atomic", write)
        await _ask_until_rolled_back(trial, 100)
        await _settled(trial)

        assert {await _ask(trial, CanaryChoice.ALWAYS) for _ in range(4)} == {1}

    async def test_is_told_again_to_a_registry_that_is_away(self, trial: Replica) -> None:
        """And holds here meanwhile, even if the registry changes the weight of that trial, or the replica restarts."""
        trial.registry.away = True
        await _ask_until_rolled_back(trial, 100)
        await trial.registry.told.wait()
        trial.fleet.point(ALIAS, revision(1), replace(HALF, percent=90))
        assert {await _ask(trial, CanaryChoice.ALWAYS) for _ in range(4)} == {1}
        await trial.fleet.stop()

        again = Replica(trial.base, trial.folder)
        again.registry = trial.registry
        again.fleet = again.new_fleet()
        again.fleet.restore()
        await again.settle()
        again.fleet.point(ALIAS, revision(1), replace(HALF, percent=90))
        assert again.fleet.draw(ADAPTER, CanaryChoice.ALWAYS) == (ADAPTER, None)
        trial.registry.away = False
        await _settled(again)

        assert [split.percent for _, split, _, _ in trial.registry.rollbacks] == [90]

    async def test_does_not_hold_for_a_later_trial_of_the_same_revision(self, trial: Replica) -> None:
        """Whoever sets it again means it."""
        await _ask_until_rolled_back(trial, 100)
        trial.engine.broken.clear()
        trial.fleet.point(ALIAS, revision(1))
        trial.fleet.point(ALIAS, revision(1), replace(HALF, start_time=START + timedelta(seconds=1)))
        await _settled(trial)

        assert await _ask(trial, CanaryChoice.ALWAYS) == 2

    async def test_needs_requests_that_chance_has_drawn(self, trial: Replica) -> None:
        """Who asks for the canary may well ask it what is hard: that is not compared."""
        for _ in range(40):
            trial.engine.broken.add("acme/answer/2")
            await _swallow(_ask(trial, CanaryChoice.ALWAYS))
            trial.engine.broken.clear()
            await _ask(trial)

        assert trial.fleet.canary_shares(revision(2)) == [(str(ALIAS), 50)]

    async def test_is_not_for_faults_of_others(self, trial: Replica) -> None:
        """Mistakes of the caller, a dead engine and callers who leave say nothing about a revision."""
        for _ in range(40):
            wrong = replace(QUESTION, sampling=Sampling(max_output_tokens=1))
            await _swallow(trial.answering.answer(wrong))
        trial.engine.gate.clear()
        for _ in range(40):
            trial.engine.entered.clear()
            leaving = asyncio.create_task(trial.answering.answer(QUESTION))
            await trial.engine.entered.wait()
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
        trial.engine.die()
        for _ in range(40):
            with pytest.raises(Unavailable):
                await trial.answering.answer(QUESTION)

        tallies = trial.fleet._canaries.trial(ALIAS).judge._tallies  # type: ignore[union-attr]
        assert [tally.requests for tally in tallies.values()] == [0, 0]

    async def test_can_be_left_to_people(self, replica: Replica) -> None:
        """A policy that watches nothing keeps a bad canary."""
        replica.fleet.point(ALIAS, replica.publish(1))
        split = CanarySplit(replica.publish(2), 50, RollbackPolicy(watched=()), START)
        replica.fleet.point(ALIAS, revision(1), split)
        await _settled(replica)
        replica.engine.broken.add("acme/answer/2")
        for _ in range(60):
            await _swallow(_ask(replica))

        assert replica.fleet.canary_shares(revision(2)) == [(str(ALIAS), 50)]
        assert replica.registry.rollbacks == []


async def _swallow(work: Awaitable[object]) -> None:
    with contextlib.suppress(DomainError):
        await work
