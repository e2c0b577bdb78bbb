"""An engine that computes NaN whoever asks: it is started again, and nobody is blamed who is not proved guilty."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from inference_svc.app import supervisor as module
from inference_svc.app.ports import EngineCall
from inference_svc.domain.residency import ResidentState
from inference_svc.domain.suspicion import MAX_CRASHES
from shared.base_model import BaseModel
from tests.unit.inference_svc.guarded import Guarded
from tests.unit.inference_svc.supervised import when

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


def anything(call: EngineCall) -> bool:
    """An engine whose every result is NaN."""
    return True


@pytest.fixture
def replica(tiny_base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guarded:
    """A replica with room for two adapters, whose engine is tried again without pauses."""
    monkeypatch.setattr(module, "_FIRST_PAUSE_SECONDS", 0.001)
    return Guarded(tiny_base, tmp_path)


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
