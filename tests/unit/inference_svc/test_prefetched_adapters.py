"""What a replica loads before anybody asks for it: at its start, at a promotion, beside what is asked for."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from inference_svc.app import saver
from inference_svc.domain.residency import ResidentState
from shared.base_model import BaseModel
from shared.names import AliasName, RevisionName
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, Replica, let_run

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]
LIVE, UNLOADED, REGISTERED = ResidentState.LIVE, ResidentState.UNLOADED, ResidentState.REGISTERED


class Tenants(Replica):
    """A replica of many adapters, those of one tenant of the same files."""

    def adapter(self, tenant: str, number: int) -> AliasName:
        """Points the alias of a tenant's adapter."""
        name, first = (RevisionName(tenant, adapter, 1) for adapter in (f"a{number}", "first"))
        packages, digests = self.registry.packages, self.registry.digests
        if first not in packages:
            made = self.publish(len(packages) + 1, contract=f"tenants/{tenant}/contracts/answer")
            packages[first], digests[first] = packages[made], digests[made]
        packages[name], digests[name] = packages[first], digests[first]
        alias = AliasName(tenant, name.adapter, "live")
        self.fleet.point(alias, name)
        return alias

    def of(self, tenant: str, state: ResidentState) -> set[str]:
        """Adapters of a tenant in a state."""
        return {r.revision.adapter for r, _ in self.fleet.residents(tenant) if r.state is state}


class TestStart:
    """A replica that comes up."""

    async def test_with_ten_thousand_aliases_loads_a_few_and_knows_all(
        self, tiny_base: BaseModel, tmp_path: Path
    ) -> None:
        """Nobody evicts anybody, no task waits for a place, and each alias is loaded when it is used."""
        replica = Tenants(tiny_base, tmp_path, capacity=4)
        tasks = len(asyncio.all_tasks())
        for number in range(10_000):
            replica.adapter(f"t{number % 100}", number)
        grown = len(asyncio.all_tasks()) - tasks
        await replica.settle()
        loaded = set().union(*(replica.of(f"t{number}", LIVE) for number in range(100)))
        await replica.use("tenants/t7/adapters/a7")
        await replica.settle()

        assert grown <= 1
        assert loaded == {"a9999", "a9998"}
        assert replica.registry.downloads == 3
        assert len(replica.of("t7", REGISTERED)) == 99
        assert replica.of("t7", LIVE) == {"a7"}
        assert not any(replica.of(f"t{number}", UNLOADED) for number in range(100))
        assert len(json.loads((tmp_path / "aliases.json").read_bytes())) == 3

    async def test_loads_what_was_used_last_and_leaves_one_place(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """Of five adapters the three that were used last, after a stop in order."""
        replica = Tenants(tiny_base, tmp_path, capacity=4)
        names = [replica.adapter("t", number) for number in range(5)]
        await replica.settle()
        for number in (0, 1, 2, 3, 4, 1):
            await replica.use(str(names[number]))
        await replica.fleet.stop()
        replica.engine.adapters.clear()
        replica.fleet = replica.new_fleet()
        replica.fleet.restore()
        await replica.settle()

        assert replica.of("t", LIVE) == {"a1", "a3", "a4"}
        assert replica.of("t", REGISTERED) == {"a0", "a2"}

    async def test_saves_thousands_of_flips_in_a_few_writes(
        self, tiny_base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The file is written whole each time: once for each flip would take a minute."""
        replica = Tenants(tiny_base, tmp_path, capacity=4)
        name = replica.publish(1)
        await replica.use(str(name))
        written: list[int] = []
        monkeypatch.setattr(saver, "write_atomic", lambda path, data: written.append(len(json.loads(data))))
        for number in range(5_000):
            replica.fleet.point(AliasName("acme", "answer", f"alias-{number}"), name)
        await replica.settle()

        assert written[-1] == 5_000
        assert len(written) <= 3


class TestAliases:
    """What an alias change loads."""

    async def test_an_alias_that_nobody_uses_is_only_pointed(self, replica: Replica) -> None:
        """In a full engine its promotion makes nobody leave; the next request gets the new revision."""
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        names = [str(replica.publish(number)) for number in (2, 3)]
        for name in names:
            await replica.use(name)
        assert replica.states()[1] is UNLOADED
        replica.fleet.point(ALIAS, replica.publish(4))
        await replica.settle()
        before = replica.states()
        (aliases_of_4,) = [a for r, a in replica.fleet.residents("acme") if r.revision.number == 4]
        async with replica.fleet.lease(ADAPTER) as resident:
            served = resident.revision.number

        assert before == {1: UNLOADED, 2: LIVE, 3: LIVE, 4: REGISTERED}
        assert aliases_of_4 == [str(ALIAS)]
        assert served == 4

    async def test_an_alias_that_serves_is_promoted_in_the_background(self, replica: Replica) -> None:
        """Although the engine is full: requests run on the old revision until the new one serves."""
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        await replica.use(str(replica.publish(2)))
        await replica.use(ADAPTER)
        replica.fleet.point(ALIAS, replica.publish(3))
        async with replica.fleet.lease(ADAPTER) as resident:
            during = resident.revision.number
        await replica.settle()

        assert during == 1
        assert replica.states() == {1: UNLOADED, 2: UNLOADED, 3: LIVE}

    async def test_a_rejected_revision_never_takes_over_from_one_that_is_not_loaded(self, replica: Replica) -> None:
        """The request that finds out is answered by the revision before, as if that had been in the engine."""
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        for number in (2, 3):
            await replica.use(str(replica.publish(number)))
        replica.fleet.point(ALIAS, replica.publish(4, prompt_digest="sha256:" + "f" * 64))
        await replica.settle()
        for _ in range(2):
            async with replica.fleet.lease(ADAPTER) as resident:
                assert resident.revision.number == 1

        assert replica.states()[4] is ResidentState.REJECTED

    async def test_the_newest_promotion_ends_the_load_of_the_one_before(self, replica: Replica) -> None:
        """Nobody waits for a revision that nobody wants any more."""
        replica.fleet.point(ALIAS, replica.publish(1))
        await replica.settle()
        replica.engine.gate.clear()
        replica.engine.entered.clear()
        replica.fleet.point(ALIAS, replica.publish(2, canary=(5, 6)))
        await replica.engine.entered.wait()
        replica.fleet.point(ALIAS, replica.publish(3))
        await replica.settle()

        assert replica.states() == {1: UNLOADED, 2: UNLOADED, 3: LIVE}


class TestNeighbours:
    """The first sight of a tenant."""

    async def test_loads_its_other_adapters_into_free_places(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """A few of them, those used most lately first, and none of anybody else."""
        replica = Tenants(tiny_base, tmp_path, capacity=12)
        for tenant in ("t", "u"):
            for number in range(9):
                replica.adapter(tenant, number)
        await replica.fleet._prefetch.stop()
        await replica.use("tenants/t/adapters/a0")
        await replica.settle()

        assert replica.of("t", LIVE) == {"a0", "a5", "a6", "a7", "a8"}
        assert replica.of("u", LIVE) == set()

    async def test_makes_nobody_leave(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """In a full engine it only gets what it asks for."""
        replica = Tenants(tiny_base, tmp_path, capacity=4)
        for number in range(4):
            replica.adapter("t", number)
            await replica.use(f"tenants/t/adapters/a{number}")
        for number in range(3):
            replica.adapter("u", number)
        await replica.use("tenants/u/adapters/a0")
        await replica.settle()

        assert replica.of("u", LIVE) == {"a0"}
        assert len(replica.of("t", LIVE)) == 3

    async def test_who_comes_cold_meanwhile_does_not_wait_for_them(self, replica: Replica) -> None:
        """The last place is free for it."""
        replica.engine.gate.clear()
        replica.engine.lie = [5, 6]
        replica.fleet.point(ALIAS, replica.publish(1, canary=(5, 6)))
        await replica.engine.entered.wait()

        await asyncio.wait_for(replica.use(str(replica.publish(2))), 20)

        assert replica.states() == {1: ResidentState.PROVING, 2: LIVE}
        replica.engine.gate.set()
        await let_run()
