"""NaN and infinity: who is blamed for them, and how long."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from inference_svc.app import quarantine as file_module
from inference_svc.app import supervisor as module
from inference_svc.app.meter import Meter
from inference_svc.app.ports import EngineCall, InferenceEngine
from inference_svc.app.quarantine import Quarantine
from inference_svc.app.sentinel import Sentinel
from inference_svc.domain.canary_choice import CanaryChoice
from inference_svc.domain.generation import Question, Sampling
from inference_svc.domain.residency import ResidentState
from inference_svc.domain.suspicion import MAX_CRASHES
from inference_svc.telemetry.metric import PrometheusObserver
from shared.adapter.canary import CanarySplit
from shared.base_model import BaseModel
from shared.errors import InvalidInput, StateConflict, Unavailable
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, CONTRACT, StoppedClock, let_run, revision
from tests.unit.inference_svc.test_supervisor import Supervised, when

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]

DIGEST = "sha256:" + "7" * 64


class Guarded(Supervised):
    """A replica as in the composition root: what the engine computes is judged, and an ill engine started again."""

    def serving_engine(self) -> InferenceEngine:
        """The sentinel, over a supervisor."""
        return Sentinel(super().serving_engine())  # type: ignore[arg-type]  # a Supervisor

    @asynccontextmanager
    async def serving(self, number: int) -> AsyncIterator[None]:
        """Alive, with a revision under the alias `live`."""
        async with self.alive():
            self.publish(number)
            self.fleet.point(ALIAS, revision(number))
            await self.settle()
            yield

    async def once(self, text: str = "hello", adapter: str = ADAPTER) -> str:
        """The answer to one request, or the reason why there is none."""
        contract = "" if adapter else CONTRACT
        try:
            answer = await self.answering.answer(Question(adapter, text, "", contract, None, Sampling(), 30.0))
        except (StateConflict, Unavailable) as err:
            return err.reason
        return answer.text

    def poison(self, number: int) -> None:
        """Lets a revision compute NaN."""
        self.engine.poisonous = lambda call: call.adapter is not None and f"/{number}@" in call.adapter.name

    async def dies_of(self, text: str) -> EngineCall:
        """The engine dies of one question to the base model, which is a suspect from then on, and comes back."""
        starts, self.engine.deadly = self.engine.starts, lambda call: True
        assert await self.once(text, adapter="") == "NOT_SERVING"
        self.engine.deadly = lambda call: False
        await self.until(starts + 1)
        return self.engine.calls[-1]


def anything(call: EngineCall) -> bool:
    """An engine whose every result is NaN."""
    return True


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
            again = revision(2)
            replica.registry.packages[again] = replica.registry.packages[revision(1)]
            replica.registry.digests[again] = replica.registry.digests[revision(1)]
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
            again = revision(2)
            replica.registry.packages[again] = replica.registry.packages[revision(1)]
            replica.registry.digests[again] = replica.registry.digests[revision(1)]
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


class TestIllEngine:
    """One that computes NaN without any adapter."""

    async def test_is_started_again_and_no_adapter_is_blamed(self, replica: Guarded) -> None:
        """The caller is told to come back, and is answered then by the same revision."""
        async with replica.serving(1):
            replica.engine.poisonous = anything

            assert await replica.once() == "NOT_SERVING"
            replica.engine.poisonous = lambda call: False
            await replica.until(2)

            assert json.loads(await replica.once()) in ("yes", "no", "perhaps")
            assert replica.states() == {1: ResidentState.LIVE}

    async def test_needs_no_trial_when_the_base_model_was_asked(self, replica: Guarded) -> None:
        """There is nobody else to blame."""
        async with replica.alive():
            replica.engine.poisonous = anything

            assert await replica.once(adapter="") == "NOT_SERVING"
            replica.engine.poisonous = lambda call: False
            await replica.until(2)

            assert len(replica.engine.calls) == 1

    async def test_bars_a_request_that_makes_it_so_again_and_again(self, replica: Guarded) -> None:
        """As if the engine had died of it; others are answered."""
        async with replica.alive():
            sick = replica.renderer.prompt_ids("sick", "")
            replica.engine.poisonous = lambda call: call.prompt_ids == sick

            for death in range(MAX_CRASHES):
                assert await replica.once("sick", adapter="") == "NOT_SERVING"
                await replica.until(death + 2)

            assert await replica.once("sick", adapter="") == "REQUEST_QUARANTINED"
            assert json.loads(await replica.once("well", adapter="")) in ("yes", "no", "perhaps")

    async def test_bars_no_adapter_however_often_it_falls_ill(self, replica: Guarded) -> None:
        """Each time at another request of the same adapter, which is answered when the engine is well again."""
        async with replica.serving(1):
            for life in range(MAX_CRASHES):
                replica.engine.poisonous = anything
                assert await replica.once(f"text {life}") == "NOT_SERVING"
                replica.engine.poisonous = lambda call: False
                await replica.until(life + 2)

            assert json.loads(await replica.once()) in ("yes", "no", "perhaps")

    async def test_that_dies_during_the_trial_proves_nothing(self, replica: Guarded) -> None:
        """The adapter is loaded again and answers."""
        async with replica.serving(1):
            replica.poison(1)
            replica.engine.deadly = lambda call: call.adapter is None

            assert await replica.once() == "NOT_SERVING"
            replica.engine.poisonous = replica.engine.deadly = lambda call: False
            await replica.until(2)

            assert json.loads(await replica.once()) in ("yes", "no", "perhaps")

    async def test_that_was_started_again_before_the_trial_proves_nothing(self, replica: Guarded) -> None:
        """The probe waits for its turn behind another suspect, and is computed by an engine that is well."""
        async with replica.serving(1):
            suspects = [await replica.dies_of(text) for text in ("hello", "another")]
            sick = aclosing(replica.supervisor.generate(replace(suspects[1], stream=True)))
            async with sick as held:
                await anext(held)
                replica.poison(1)
                asked = asyncio.create_task(replica.once())
                await when(lambda: replica.supervisor._waiting == 1)
                replica.engine.die()
                await replica.until(4)
                replica.engine.poisonous = lambda call: False

            assert await asked == "NOT_SERVING"
            assert json.loads(await replica.once()) in ("yes", "no", "perhaps")


class TestFile:
    """The file of barred contents."""

    async def test_says_what_was_barred_where_and_when(self, tmp_path: Path) -> None:
        """One entry for each digest, for an operator to read, and to delete."""
        file = tmp_path / "state" / "quarantine.json"
        Quarantine(file, StoppedClock()).add(DIGEST, revision(3), "computed NaN")

        assert json.loads(file.read_bytes()) == {
            DIGEST: {"revision": str(revision(3)), "reason": "computed NaN", "time": "2026-11-21T12:00:00+00:00"}
        }
        with pytest.raises(StateConflict, match="computed NaN"):
            Quarantine(file, StoppedClock()).check(DIGEST)
        file.unlink()
        Quarantine(file, StoppedClock()).check(DIGEST)

    @pytest.mark.parametrize("text", ["", "[]", '{"sha256:1": 7}', '{"sha256:1": {"reason": "x"}}', "\xff"])
    async def test_that_cannot_be_read_stops_the_service(self, tmp_path: Path, text: str) -> None:
        """What it barred would be let in again without a word."""
        (tmp_path / "quarantine.json").write_text(text, encoding="latin-1")

        with pytest.raises(InvalidInput, match="no list of quarantined adapters"):
            Quarantine(tmp_path / "quarantine.json", StoppedClock())

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"reason": None}, f"{DIGEST}.reason"),
            ({"reason": 7}, f"{DIGEST}.reason"),
            ({"revision": ["a"]}, f"{DIGEST}.revision"),
            ({"time": 1.5}, f"{DIGEST}.time"),
            ({"until": "tomorrow"}, f"{DIGEST}.until"),
        ],
        ids=["no reason", "number", "list", "time as a number", "unknown field"],
    )
    async def test_with_an_entry_of_another_kind_is_refused_by_its_place(
        self, tmp_path: Path, change: dict[str, object], path: str
    ) -> None:
        """Whoever asked for that adapter would be answered an error without a reason."""
        entry = {"revision": str(revision(3)), "reason": "computed NaN", "time": "2026-11-21T12:00:00+00:00"}
        (tmp_path / "quarantine.json").write_text(json.dumps({DIGEST: entry | change}))

        with pytest.raises(InvalidInput) as caught:
            Quarantine(tmp_path / "quarantine.json", StoppedClock())

        assert [violation.path for violation in caught.value.violations] == [path]

    async def test_with_what_is_no_digest_is_refused(self, tmp_path: Path) -> None:
        """It would bar nothing: an operator who mistyped it learns so at the start."""
        entry = {"revision": str(revision(3)), "reason": "computed NaN", "time": "2026-11-21T12:00:00+00:00"}
        (tmp_path / "quarantine.json").write_text(json.dumps({DIGEST[:-1]: entry}))

        with pytest.raises(InvalidInput, match="64 hex digits"):
            Quarantine(tmp_path / "quarantine.json", StoppedClock())

    async def test_that_cannot_be_written_bars_until_the_process_ends(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A full disk opens no door."""

        def full(path: Path, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(file_module, "write_atomic", full)
        quarantine = Quarantine(tmp_path / "quarantine.json", StoppedClock())

        quarantine.add(DIGEST, revision(1), "computed NaN")

        with pytest.raises(StateConflict, match="computed NaN"):
            quarantine.check(DIGEST)
