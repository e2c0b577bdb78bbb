"""Canaries of a replica: who gets one, and when it is loaded."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from inference_svc.app import canaries, places, roster, saver
from inference_svc.domain.canary_choice import CanaryChoice
from inference_svc.domain.residency import AdapterKey, ResidentState
from shared.base_model import BaseModel
from shared.errors import Unavailable
from shared.files import write_atomic
from shared.names import AliasName, RevisionName
from tests.unit.inference_svc.canary_trial import HALF, START, ask, on_trial, settled
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, Replica, let_run, revision

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]
LIVE = ResidentState.LIVE


@pytest_asyncio.fixture
async def trial(replica: Replica) -> Replica:
    """Revision 1 is live, revision 2 a canary at one half; both are in the engine."""
    return await on_trial(replica)


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


class TestLoad:
    """When a canary is loaded."""

    async def test_of_thousands_loads_a_few(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """A replica that comes up and follows every alias of the registry, each with a canary: nobody is evicted."""
        replica = Replica(tiny_base, tmp_path, capacity=4)
        loads = _loads(replica)
        live, canary = replica.publish(1), replica.publish(2)
        for number in range(2_000):
            alias = AliasName("acme", f"a{number}", "live")
            names = [RevisionName("acme", alias.adapter, source.number) for source in (live, canary)]
            for name, source in zip(names, (live, canary), strict=True):
                replica.registry.packages[name] = replica.registry.packages[source]
                replica.registry.digests[name] = replica.registry.digests[source]
            replica.fleet.point(alias, names[0], replace(HALF, revision=names[1]))
        tasks = len(asyncio.all_tasks())
        await settled(replica)

        assert tasks < 10
        assert {"acme/a1999/1", "acme/a1999/2"} <= set(loads)
        assert len(loads) <= 4
        assert ResidentState.UNLOADED not in replica.states().values()
        answers = {await ask(replica, CanaryChoice.ALWAYS, "tenants/acme/adapters/a7")}
        await settled(replica)
        answers.add(await ask(replica, CanaryChoice.ALWAYS, "tenants/acme/adapters/a7"))
        assert 2 in answers
        await replica.fleet.stop()

    async def test_of_hundreds_beside_one_revision_loads_a_few_ahead(
        self, tiny_base: BaseModel, tmp_path: Path
    ) -> None:
        """And any other as soon as a request is drawn for its alias."""
        replica = Replica(tiny_base, tmp_path, capacity=4)
        replica.fleet.point(ALIAS, replica.publish(1))
        await settled(replica)
        loads = _loads(replica)
        source = replica.publish(2)
        for number in range(2, 302):
            name = revision(number)
            replica.registry.packages[name] = replica.registry.packages[source]
            replica.registry.digests[name] = replica.registry.digests[source]
            alias = AliasName("acme", "answer", f"a{number}")
            replica.fleet.point(alias, revision(1), replace(HALF, revision=name))
        await settled(replica)

        assert 1 <= len(loads) <= 8
        while await ask(replica, CanaryChoice.ALWAYS, str(AliasName("acme", "answer", "a301"))) != 301:
            await settled(replica)
        await replica.fleet.stop()

    async def test_waits_until_the_revision_serves_that_it_is_beside(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While that is not in the engine nobody uses the alias here; it is listed all the same."""
        monkeypatch.setattr(places, "_UNUSED_SECONDS", 0.0)
        names = [str(replica.publish(number)) for number in (3, 4)]
        async with replica.fleet.lease(names[0]), replica.fleet.lease(names[1]):
            replica.fleet.point(ALIAS, replica.publish(1), replace(HALF, revision=replica.publish(2)))
            await settled(replica)
            before = replica.states()
        await replica.use(ADAPTER)
        await settled(replica)

        assert before[2] is ResidentState.REGISTERED
        assert replica.states()[2] is ResidentState.LIVE

    async def test_displaces_nothing_in_use(self, replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither what a request runs on nor what was used a moment ago; later the canary gets the place."""
        monkeypatch.setattr(canaries, "_NO_PLACE_SECONDS", 0.0)
        monkeypatch.setattr(places, "_UNUSED_SECONDS", 60.0)
        replica.fleet.point(ALIAS, replica.publish(1))
        other = str(replica.publish(3))
        await replica.settle()
        async with replica.fleet.lease(other):
            replica.fleet.point(ALIAS, revision(1), replace(HALF, revision=replica.publish(2)))
            assert await _ask_twice(replica) == 1
        assert await _ask_twice(replica) == 1
        assert replica.states() == {1: LIVE, 2: ResidentState.REGISTERED, 3: LIVE}
        replica.fleet.known[revision(3)].last_use -= 60.0
        replica.fleet.known[revision(3)].entered -= 60.0
        assert await _ask_twice(replica) == 2
        assert replica.states() == {1: LIVE, 2: LIVE, 3: ResidentState.UNLOADED}

    async def test_does_not_make_two_displace_each_other(
        self, tiny_base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One place for two canaries, whose requests come in turns: who has it keeps it while it is used."""
        monkeypatch.setattr(canaries, "_NO_PLACE_SECONDS", 0.0)
        monkeypatch.setattr(places, "_UNUSED_SECONDS", 60.0)
        replica = Replica(tiny_base, tmp_path, capacity=3)
        names = [AliasName("acme", "answer", alias) for alias in ("live", "other")]
        for alias, live, canary in zip(names, (1, 2), (3, 4), strict=True):
            replica.fleet.point(alias, replica.publish(live), replace(HALF, revision=replica.publish(canary)))
            await replica.use(str(alias))
        await settled(replica)
        loads = _loads(replica)
        for _ in range(50):
            for alias in names:
                await ask(replica, adapter=str(alias))
        await settled(replica)

        assert not loads
        assert replica.states() == {1: LIVE, 2: LIVE, 3: LIVE, 4: ResidentState.REGISTERED}

    async def test_that_failed_is_tried_again_at_a_request(
        self, tiny_base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not at each: a registry that is away is asked ever more rarely."""
        trial = await on_trial(Replica(tiny_base, tmp_path, capacity=3))  # else it waits for revision 2 to leave
        asked = 0

        async def away(name: RevisionName, folder: Path) -> None:
            nonlocal asked
            asked += 1
            raise Unavailable("NOT_SERVING", "away")

        with monkeypatch.context() as patched:
            patched.setattr(canaries, "_FIRST_RETRY_SECONDS", 0.01)
            patched.setattr(trial.registry, "download", away)
            start = time.monotonic()
            trial.fleet.point(ALIAS, revision(1), replace(HALF, revision=trial.publish(3)))
            await settled(trial)
            for _ in range(100):
                assert await ask(trial, CanaryChoice.ALWAYS) == 1
                await asyncio.sleep(0.001)
        assert 2 <= asked <= 1 + math.log2(1 + (time.monotonic() - start) / 0.01)  # rests of 0.01, 0.02, 0.04, ...
        while await ask(trial, CanaryChoice.ALWAYS) != 3:  # noqa: ASYNC110  # time has to pass
            await asyncio.sleep(0.01)


async def _ask_twice(replica: Replica) -> int:
    """Number of the revision that answers whoever asks for the canary, when its load had the time."""
    await ask(replica, CanaryChoice.ALWAYS)
    await settled(replica)
    return await ask(replica, CanaryChoice.ALWAYS)


def _loads(replica: Replica) -> list[str]:
    """Names of what is taken up by the engine from now on."""
    names: list[str] = []
    add = replica.engine.add_adapter

    async def noted(key: AdapterKey) -> None:
        names.append(key.name.split("@")[0])
        await add(key)

    replica.engine.add_adapter = noted  # type: ignore[method-assign]  # notes what passes
    return names
