"""An adapter that computes NaN or infinity: what becomes of it, of its aliases, and of its content."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from inference_svc.app import supervisor as module
from inference_svc.app.meter import Meter
from inference_svc.domain.canary_choice import CanaryChoice
from inference_svc.domain.residency import ResidentState, quarantined
from inference_svc.telemetry.metric import PrometheusObserver
from shared.adapter.canary import CanarySplit
from shared.base_model import BaseModel
from shared.errors import StateConflict
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, let_run, revision
from tests.unit.inference_svc.guarded import Guarded
from tests.unit.inference_svc.supervised import when

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


@pytest.fixture
def replica(tiny_base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guarded:
    """A replica with room for two adapters, whose engine is tried again without pauses."""
    monkeypatch.setattr(module, "_FIRST_PAUSE_SECONDS", 0.001)
    return Guarded(tiny_base, tmp_path)


class TestGuiltyAdapter:
    """One that computes NaN where the base model computes numbers."""

    async def test_is_rejected_and_leaves_the_engine(self, replica: Guarded) -> None:
        """Its caller is told so, and the engine runs on."""
        async with replica.serving(1):
            replica.poison(1)

            assert await replica.once() == "ADAPTER_QUARANTINED"

            assert replica.states() == {1: ResidentState.REJECTED}
            assert replica.engine.adapters == set()
            assert replica.engine.starts == 1

    async def test_takes_all_its_requests_with_it_after_one_trial(self, replica: Guarded) -> None:
        """The base model is asked once, in a prefix cache of its own; the adapter leaves after its last request."""
        async with replica.serving(1):
            replica.poison(1)
            replica.engine.gate.clear()
            asked = [asyncio.create_task(replica.once(f"text {number}")) for number in range(5)]
            await let_run()
            replica.engine.gate.set()

            assert await asyncio.gather(*asked) == ["ADAPTER_QUARANTINED"] * 5

            trials = [call for call in replica.engine.calls if call.adapter is None]
            assert len(trials) == 1
            assert trials[0].tenant != "acme"
            assert trials[0].prompt_ids in [call.prompt_ids for call in replica.engine.calls if call.adapter]
            assert replica.states() == {1: ResidentState.REJECTED}

    async def test_is_not_asked_again(self, replica: Guarded) -> None:
        """Its alias goes on meaning it, and requests end before the engine."""
        async with replica.serving(1):
            replica.poison(1)
            await replica.once()
            replica.engine.calls.clear()

            assert await replica.once() == "ADAPTER_QUARANTINED"
            assert await replica.once(adapter=str(revision(1))) == "ADAPTER_QUARANTINED"

            assert replica.engine.calls == []
            assert [aliases for _, aliases in replica.fleet.residents("acme")] == [[str(ALIAS)]]

    async def test_makes_way_for_the_revision_that_its_alias_is_pointed_at(self, replica: Guarded) -> None:
        """A roll back by its tenant heals the alias."""
        async with replica.serving(1):
            replica.publish(2)
            replica.fleet.point(ALIAS, revision(2))
            await replica.settle()
            replica.poison(2)
            await replica.once()

            replica.fleet.point(ALIAS, revision(1))
            await replica.settle()

            assert json.loads(await replica.once()) in ("yes", "no", "perhaps")

    async def test_is_not_replaced_behind_its_tenants_back(self, replica: Guarded) -> None:
        """Neither by the revision of before, nor by one that is rejected in its turn."""
        async with replica.serving(1):
            replica.fleet.point(ALIAS, replica.publish(2))
            await replica.settle()
            replica.poison(2)
            await replica.once()
            after_quarantine = await replica.once()
            replica.fleet.point(ALIAS, replica.publish(3, prompt_digest="sha256:" + "f" * 64))
            await replica.settle()

            assert [after_quarantine, await replica.once()] == ["ADAPTER_QUARANTINED"] * 2
            assert replica.states()[3] is ResidentState.REJECTED

    async def test_leaves_its_canary_to_those_who_get_it(self, replica: Guarded) -> None:
        """A trial is not over because the revision beside it was found out."""
        async with replica.serving(1):
            replica.fleet.point(ALIAS, revision(1), CanarySplit(replica.publish(2), 50))
            while replica.states().get(2) is not ResidentState.LIVE:  # noqa: ASYNC110  # it is being loaded
                await asyncio.sleep(0.001)
            replica.poison(1)
            while await replica.once() != "ADAPTER_QUARANTINED":  # the canary answers half of them
                pass

            assert replica.fleet.draw(ADAPTER, CanaryChoice.ALWAYS)[0] == str(revision(2))

    @pytest.mark.parametrize("others", [(), (3, 4)], ids=["loaded", "evicted"])
    async def test_that_is_found_out_on_its_way_in_leaves_the_old_one(
        self, replica: Guarded, others: tuple[int, ...]
    ) -> None:
        """A promotion that fails is no roll back: the alias never meant the new one, wherever the old one is."""
        async with replica.serving(1):
            await replica.once()
            for number in others:
                await replica.use(str(replica.publish(number)))
            replica.poison(2)
            replica.fleet.point(ALIAS, replica.publish(2, canary=(5, 6, 7)))
            await replica.settle()

            assert json.loads(await replica.once()) in ("yes", "no", "perhaps")
            assert replica.states()[1] is ResidentState.LIVE
            assert replica.states()[2] is ResidentState.REJECTED

    async def test_is_found_out_under_every_name(self, replica: Guarded) -> None:
        """Another revision of the same content, which serves already, answers nobody any more either."""
        async with replica.serving(1):
            again = replica.publish_again(1, 2)
            await replica.use(str(again))
            replica.poison(1)

            assert await replica.once() == "ADAPTER_QUARANTINED"
            assert await replica.once(adapter=str(again)) == "ADAPTER_QUARANTINED"

            assert replica.states() == {1: ResidentState.REJECTED, 2: ResidentState.REJECTED}

    async def test_is_rejected_when_its_canaries_find_it_out(self, replica: Guarded) -> None:
        """It never serves, and asking for it says why."""
        async with replica.alive():
            replica.poison(1)
            replica.publish(1, canary=(5, 6, 7))
            replica.fleet.point(ALIAS, revision(1))
            await replica.settle()

            assert await replica.once() == "ADAPTER_QUARANTINED"
            assert replica.states() == {1: ResidentState.REJECTED}
            assert replica.engine.adapters == set()

    async def test_stays_out_after_a_restart_and_under_another_name(self, replica: Guarded) -> None:
        """The content is barred, not the revision; only an operator lets it in again."""
        async with replica.serving(1):
            replica.poison(1)
            await replica.once()
            replica.engine.poisonous = lambda call: False
            again = replica.publish_again(1, 2)
            later = Guarded(replica.base, replica.folder)
            later.registry.packages, later.registry.digests = replica.registry.packages, replica.registry.digests

            async with later.alive():
                for name in (revision(1), again):
                    with pytest.raises(StateConflict, match="computed NaN or infinity") as caught:
                        await later.use(str(name))
                    assert caught.value.reason == "ADAPTER_QUARANTINED"

    async def test_is_counted(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """Once, whatever the number of its requests."""
        metrics = CollectorRegistry()
        replica = Guarded(tiny_base, tmp_path, meter=Meter([PrometheusObserver(metrics, label_sets=10)]))
        async with replica.serving(1):
            replica.poison(1)

            await asyncio.gather(*(replica.once(f"text {number}") for number in range(3)))

            labels = {"tenant": "acme", "adapter": "answer"}
            assert metrics.get_sample_value("goldsmith_adapter_quarantines_total", labels) == 1
            assert metrics.get_sample_value("goldsmith_resident_revisions", {"state": "rejected"}) == 1


class TestVerdict:
    """The moment in which an adapter is found guilty, whoever is there to hear of it."""

    async def test_stands_though_every_caller_has_left(self, replica: Guarded) -> None:
        """Who asks with the poison and leaves at once keeps nobody from knowing it, after a restart either."""
        async with replica.serving(1):
            async with replica.on_trial() as asked:
                asked.cancel()
                await let_run()
                assert replica.states() == {1: ResidentState.LIVE}

            assert replica.states() == {1: ResidentState.REJECTED}
            assert replica.engine.adapters == set()
            assert list(json.loads((replica.folder / "quarantine.json").read_bytes())) == [
                replica.registry.digests[revision(1)]
            ]

    async def test_closes_the_content_under_every_name_at_once(self, replica: Guarded) -> None:
        """A canary of that content, too, which nobody has asked yet, gets nothing and leaves."""
        async with replica.serving(1):
            again = replica.publish_again(1, 2)
            replica.fleet.point(ALIAS, revision(1), CanarySplit(again, 50))
            await when(lambda: replica.states().get(2) is ResidentState.LIVE)

            async with replica.on_trial():
                pass

            assert replica.states() == {1: ResidentState.REJECTED, 2: ResidentState.REJECTED}
            assert replica.fleet.canary_shares(again) == [(str(ALIAS), 0)]
            assert replica.engine.adapters == set()

    @pytest.mark.parametrize("stays", [True, False], ids=["told", "untold"])
    async def test_of_one_that_left_with_the_engine_is_its_state(self, replica: Guarded, *, stays: bool) -> None:
        """Unloaded would say that it may come back."""
        async with replica.serving(1):
            async with replica.on_trial() as asked:
                if not stays:
                    asked.cancel()
                replica.fleet.engine_lost()
                assert replica.states() == {1: ResidentState.UNLOADED}

            assert replica.states() == {1: ResidentState.REJECTED}
            assert await replica.once() == "ADAPTER_QUARANTINED"

    async def test_during_a_load_that_nobody_waits_for_any_more_is_its_state(self, replica: Guarded) -> None:
        """Found out by its canary prompts, whose load is ended in that moment."""
        async with replica.alive():
            replica.poison(1)
            name = str(replica.publish(1, canary=(5, 6, 7)))
            replica.engine.gate.clear()
            loading = asyncio.create_task(replica.use(name))
            await replica.engine.entered.wait()
            resident = replica.fleet.known[revision(1)]
            assert resident.key is not None
            await replica.fleet.expulsion.of_content(resident.key, quarantined("it computed NaN"))
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)
            await when(lambda: not resident.is_inside)

            assert replica.states() == {1: ResidentState.REJECTED}

    async def test_ends_the_wait_for_a_place(self, replica: Guarded) -> None:
        """Who asked for the same content under another name, which was evicted, is told instead of served."""
        async with replica.serving(1):
            again, other = replica.publish_again(1, 2), replica.publish(3)
            await replica.use(str(again))
            async with replica.fleet.lease(ADAPTER) as resident, replica.fleet.lease(str(other)):
                waiting = asyncio.create_task(replica.once(adapter=str(again)))
                await let_run()
                assert replica.states()[2] is ResidentState.UNLOADED
                assert resident.key is not None
                await replica.fleet.expulsion.of_content(resident.key, quarantined("it computed NaN"))

            assert await waiting == "ADAPTER_QUARANTINED"
            assert replica.states() == {1: ResidentState.REJECTED, 2: ResidentState.REJECTED, 3: ResidentState.LIVE}
