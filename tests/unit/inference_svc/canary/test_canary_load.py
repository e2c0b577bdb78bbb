"""Canaries of a replica: when one is loaded, and what it displaces."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import replace
from pathlib import Path

import pytest

from inference_svc.app import canaries, places
from inference_svc.domain.canary_choice import CanaryChoice
from inference_svc.domain.residency import AdapterKey, ResidentState
from shared.base_model import BaseModel
from shared.errors import Unavailable
from shared.names import AliasName, RevisionName
from tests.unit.inference_svc.canary_trial import HALF, ask, on_trial, settled
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, Replica, revision

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]
LIVE = ResidentState.LIVE


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
