"""The inference service as its composition root wires it, over an engine and a registry in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from inference_svc import bootstrap
from inference_svc.app.ports import EngineCall
from inference_svc.config import Settings
from inference_svc.domain.generation import Question, Sampling
from inference_svc.domain.residency import ResidentState
from inference_svc.engine.vllm_engine import EngineSettings
from shared.base_model import BaseModel
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, Replica, let_run, revision
from tests.unit.inference_svc.fake_engine import FakeEngine
from tests.usage_reader import FakeReader

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


@dataclass
class House:
    """A service that runs, with revision 1 under the alias `live`, and the engine that it built."""

    service: bootstrap.InferenceApplication
    engine: FakeEngine
    data_dir: Path
    reader: FakeReader


@pytest_asyncio.fixture
async def house(tiny_base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """Started, and stopped after the test."""
    registry, engines, data_dir = Replica(tiny_base, tmp_path / "packages"), list[FakeEngine](), tmp_path / "data"
    reader = FakeReader()

    def engine(settings: EngineSettings) -> FakeEngine:
        engines.append(FakeEngine(settings.contract_dir))
        return engines[0]

    monkeypatch.setattr(bootstrap, "VllmEngine", engine)
    monkeypatch.setattr(bootstrap, "GrpcRegistry", lambda address, credentials: registry.registry)
    monkeypatch.setattr(bootstrap, "GrpcUsageReader", lambda channel: reader)
    service = await bootstrap.build(
        Settings(base_model_dir=tiny_base.folder, registry="127.0.0.1:1", data_dir=data_dir, insecure_loopback=True)
    )
    await service.start()
    service._fleet.point(ALIAS, registry.publish(1))
    yield House(service, engines[0], data_dir, reader)
    await service.stop()


class TestVerdict:
    """What the sentinel finds out."""

    async def test_reaches_fleet_and_disk_without_the_caller(self, house: House) -> None:
        """Who met the NaN has left before the base model's answer proved the adapter guilty."""

        def poisons_and_holds(call: EngineCall) -> bool:
            if call.adapter is not None:
                house.engine.gate.clear()
            return call.adapter is not None

        house.engine.poisonous = poisons_and_holds
        question = Question(ADAPTER, "hello", "", "", None, Sampling(), 30.0)
        asked = asyncio.create_task(house.service._answering.answer(question))
        while not house.engine.calls or house.engine.calls[-1].adapter is not None:  # noqa: ASYNC110  # of the sentinel
            await asyncio.sleep(0.001)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        house.engine.gate.set()
        await let_run()

        resident = house.service._fleet.known[revision(1)]
        assert resident.state is ResidentState.REJECTED
        assert resident.digest in (house.data_dir / "quarantine.json").read_text()


class TestLedger:
    """What requests leave behind."""

    async def test_is_reported_at_the_end_at_the_latest(self, house: House) -> None:
        """Every request of the process, under one id."""
        question = Question(ADAPTER, "is it so?", "", "", None, Sampling(), 20.0)
        for _ in range(2):
            await house.service._answering.answer(question)
        await house.service.stop()

        _, tenant, (entry,) = house.reader.reports[-1]
        assert (tenant, entry.key.adapter, entry.key.revision) == ("acme", "answer", 1)
        assert entry.counts.answered_requests == 2
