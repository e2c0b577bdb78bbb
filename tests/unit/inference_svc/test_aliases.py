"""What aliases mean on a replica: promotion, and the meaning of names."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from inference_svc.app import aliases
from inference_svc.domain.residency import ResidentState
from shared.errors import InvalidInput, NotFound, Unavailable
from shared.names import RevisionName
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

    async def test_what_served_before_goes_on_while_the_new_one_cannot_be_fetched(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Although it was evicted: its files are on disk. The new one takes over once the registry is back."""
        await _promote_evicted(replica)
        with monkeypatch.context() as away:
            away.setattr(replica.registry, "download", _away)
            for name in (ADAPTER, str(ALIAS)):
                async with replica.fleet.lease(name) as resident:
                    assert resident.revision == revision(1)
            assert replica.states()[4] is not ResidentState.LIVE
        await replica.settle()

        async with replica.fleet.lease(ADAPTER) as resident:
            assert resident.revision == revision(4)

    async def test_who_asks_learns_why_the_new_one_is_not_there_when_nothing_served_before(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also where what served before is neither on disk nor in the registry: that is what is worth mending."""
        await _promote_evicted(replica)
        monkeypatch.setattr(replica.fleet._arrivals._loader._cache, "find", lambda digest: None)
        monkeypatch.setattr(replica.registry, "download", _away)
        with pytest.raises(Unavailable, match="no 4"):
            await replica.use(ADAPTER)

    async def test_a_pinned_alias_goes_on_with_what_served_before_though_nobody_asks(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It has a place in the engine for good."""
        monkeypatch.setattr(aliases, "_FIRST_RETRY_SECONDS", 0.001)
        await _promote_evicted(replica)
        with monkeypatch.context() as away:
            away.setattr(replica.registry, "download", _away)
            replica.fleet.pin({ALIAS})
            while replica.states()[1] is not ResidentState.LIVE:  # noqa: ASYNC110  # time has to pass
                await asyncio.sleep(0.001)
            assert replica.fleet.known[revision(1)].is_pinned
        await replica.settle()

        assert replica.states()[4] is ResidentState.LIVE

    async def test_what_is_asked_for_by_its_number_does_not_end_a_promotion(self, replica: Replica) -> None:
        """The revision that served before comes in again and serves its alias, until the wanted one does."""
        await _promote_evicted(replica)
        await replica.use(str(revision(1)))
        await replica.settle()

        async with replica.fleet.lease(ADAPTER) as resident:
            assert resident.revision == revision(4)

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


async def _away(name: RevisionName, folder: Path) -> None:
    """Stands for a download while the blob store is away."""
    raise Unavailable("NOT_SERVING", f"no {name.number}")


async def _promote_evicted(replica: Replica) -> None:
    """Points the alias, whose revision 1 served and was evicted, at revision 4, which is not loaded for that."""
    replica.fleet.point(ALIAS, replica.publish(1))
    await replica.settle()
    for number in (2, 3):
        await replica.use(str(replica.publish(number)))
    replica.fleet.point(ALIAS, replica.publish(4))
    await replica.settle()
    assert replica.states()[1] is ResidentState.UNLOADED
    assert replica.states()[4] is ResidentState.REGISTERED


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
