"""Canaries of a replica: what one is blamed for, and how it is taken back."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import re
from collections.abc import AsyncGenerator, Awaitable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from inference_svc.app import saver
from inference_svc.app.ports import EngineCall, EngineChunk
from inference_svc.domain.canary_choice import CanaryChoice
from inference_svc.domain.generation import Sampling
from inference_svc.domain.residency import QUARANTINED, ResidentState, quarantined
from shared.adapter.canary import CanarySplit, RollbackPolicy, RollbackReason
from shared.errors import DomainError, StateConflict, Unavailable
from tests.unit.inference_svc.canary_trial import HALF, QUESTION, START, ask, ask_until_rolled_back, settled
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, Replica, revision

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


class TestRollback:
    """A canary that is worse."""

    async def test_happens_here_at_once_and_is_told_to_the_registry(self, trial: Replica) -> None:
        """With the reason and the figures; revision 1 answers everybody from then on."""
        await ask_until_rolled_back(trial, 100)

        assert {await ask(trial, choice) for choice in CanaryChoice for _ in range(4)} == {1}
        await settled(trial)
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
            await ask_until_rolled_back(trial, 100)
            await settled(trial)
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
                await ask(trial)
            except StateConflict as err:
                failed += err.reason == QUARANTINED
        await settled(trial)

        assert failed == 1
        assert [reason for _, _, reason, _ in trial.registry.rollbacks] == [RollbackReason.ERROR_RATE]
        assert trial.states() == {1: ResidentState.LIVE, 2: ResidentState.REJECTED}

    @pytest.mark.parametrize("name", [ADAPTER, str(revision(2))])
    async def test_of_a_quarantined_canary_needs_no_chance_either(self, trial: Replica, name: str) -> None:
        """Who chose it, or named it, finds it out for everybody; else nobody would be drawn to, and the trial stay."""
        with pytest.raises(StateConflict):
            async with trial.fleet.lease(trial.fleet.draw(name, CanaryChoice.ALWAYS)[0]):
                raise quarantined("it computed NaN")
        await settled(trial)

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
        await ask_until_rolled_back(trial, 100)
        await settled(trial)

        assert [reason for _, _, reason, _ in trial.registry.rollbacks] == [RollbackReason.ERROR_RATE]

    async def test_happens_though_the_disk_is_full(self, trial: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
        """It cannot be kept for a restart then; no request fails for that."""

        def write(path: Path, data: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(saver, "write_atomic", write)
        await ask_until_rolled_back(trial, 100)
        await settled(trial)

        assert {await ask(trial, CanaryChoice.ALWAYS) for _ in range(4)} == {1}

    async def test_is_told_again_to_a_registry_that_is_away(self, trial: Replica) -> None:
        """And holds here meanwhile, even if the registry changes the weight of that trial, or the replica restarts."""
        trial.registry.away = True
        await ask_until_rolled_back(trial, 100)
        await trial.registry.told.wait()
        trial.fleet.point(ALIAS, revision(1), replace(HALF, percent=90))
        assert {await ask(trial, CanaryChoice.ALWAYS) for _ in range(4)} == {1}
        await trial.fleet.stop()

        again = Replica(trial.base, trial.folder)
        again.registry = trial.registry
        again.fleet = again.new_fleet()
        again.fleet.restore()
        await again.settle()
        again.fleet.point(ALIAS, revision(1), replace(HALF, percent=90))
        assert again.fleet.draw(ADAPTER, CanaryChoice.ALWAYS) == (ADAPTER, None)
        trial.registry.away = False
        await settled(again)

        assert [split.percent for _, split, _, _ in trial.registry.rollbacks] == [90]

    async def test_does_not_hold_for_a_later_trial_of_the_same_revision(self, trial: Replica) -> None:
        """Whoever sets it again means it."""
        await ask_until_rolled_back(trial, 100)
        trial.engine.broken.clear()
        trial.fleet.point(ALIAS, revision(1))
        trial.fleet.point(ALIAS, revision(1), replace(HALF, start_time=START + timedelta(seconds=1)))
        await settled(trial)

        assert await ask(trial, CanaryChoice.ALWAYS) == 2

    async def test_needs_requests_that_chance_has_drawn(self, trial: Replica) -> None:
        """Who asks for the canary may well ask it what is hard: that is not compared."""
        for _ in range(40):
            trial.engine.broken.add("acme/answer/2")
            await _swallow(ask(trial, CanaryChoice.ALWAYS))
            trial.engine.broken.clear()
            await ask(trial)

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
        await settled(replica)
        replica.engine.broken.add("acme/answer/2")
        for _ in range(60):
            await _swallow(ask(replica))

        assert replica.fleet.canary_shares(revision(2)) == [(str(ALIAS), 50)]
        assert replica.registry.rollbacks == []


async def _swallow(work: Awaitable[object]) -> None:
    with contextlib.suppress(DomainError):
        await work
