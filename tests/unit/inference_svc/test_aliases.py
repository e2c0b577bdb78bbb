"""What aliases mean on a replica: promotion, and the meaning of names."""

from __future__ import annotations

import pytest

from inference_svc.domain.residency import ResidentState
from shared.errors import InvalidInput, NotFound
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, Replica, revision

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


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
            assert replica.states() == {1: ResidentState.DRAINING, 2: ResidentState.LIVE}

        assert old.key not in replica.engine.adapters
        assert replica.states() == {1: ResidentState.UNLOADED, 2: ResidentState.LIVE}

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
        assert replica.states() == {1: ResidentState.UNLOADED, 2: ResidentState.LIVE}

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


class TestName:
    """What a name means here."""

    async def test_an_unknown_adapter_is_not_found(self, replica: Replica) -> None:
        """The error names it."""
        for name in (ADAPTER, f"{ADAPTER}/revisions/7"):
            with pytest.raises(NotFound, match="answer") as caught:
                async with replica.fleet.lease(name):
                    pass
            assert caught.value.reason == "ADAPTER_NOT_FOUND"

    async def test_who_asks_for_a_first_revision_waits_for_its_load(self, replica: Replica) -> None:
        """Not for its turn among those that are loaded ahead, nor is it sent away."""
        replica.fleet.point(ALIAS, replica.publish(1))

        async with replica.fleet.lease(ADAPTER) as resident:
            assert resident.revision == revision(1)
        await replica.settle()

        assert replica.registry.downloads == 1

    async def test_malformed_names_are_refused(self, replica: Replica) -> None:
        """Nothing that is no name reaches disk or engine."""
        for name in ("acme", f"{ADAPTER}/../x", f"{ADAPTER}/revisions/0"):
            with pytest.raises(InvalidInput):
                async with replica.fleet.lease(name):
                    pass
