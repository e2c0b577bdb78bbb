"""SIGTERM: the replica tells first that it is not ready, then ends what it began, and forgets nobody without a word."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from goldsmith.inference.v1 import inference_service_pb2, inference_service_pb2_grpc
from inference_svc.app.admission import Load
from inference_svc.app.bookkeeper import Bookkeeper
from inference_svc.app.ledger_file import LedgerFile
from inference_svc.app.meter import Meter
from inference_svc.app.supervisor import Supervisor
from inference_svc.app.usage_counter import UsageCounter
from inference_svc.bootstrap import InferenceApplication
from inference_svc.domain.ledger import Ledger
from shared.base_model import BaseModel
from shared.clock import SystemClock
from shared.names import ContractName
from shared.rpc.security import SecuritySettings, secure
from shared.rpc.server import EXIT_DRAINED, ServerSettings, _serve
from shared.rpc.status import from_rpc_error
from shared.telemetry.telemetry import Telemetry
from tests.unit.inference_svc.conftest import CONTRACT, Replica
from tests.usage_reader import FakeReader

SERVICE = "goldsmith.inference.v1.InferenceService"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
DRAIN_SECONDS = 2.0
pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


@dataclass
class Process:
    """A replica as its own main function runs it, one request in the engine and two waiting."""

    replica: Replica
    served: asyncio.Task[int]
    channel: grpc.aio.Channel
    health: grpc.aio.UnaryStreamCall[object, health_pb2.HealthCheckResponse]
    calls: list[grpc.aio.UnaryUnaryCall[object, inference_service_pb2.GenerateResponse]]

    async def readiness(self, wanted: int) -> None:
        """Waits until a probe is told so."""
        while (await self.health.read()).status != wanted:
            pass


@pytest_asyncio.fixture
async def process(tiny_base: BaseModel, tmp_path: Path) -> AsyncIterator[Process]:
    """The process, ready; its engine holds answers back."""
    clock, ledger = SystemClock(), Ledger(lambda: "5f2b6d0e-53f5-4a3e-8c8e-0d6b9a1c7e42")
    replica = Replica(tiny_base, tmp_path, running=1, meter=Meter((UsageCounter(ledger, clock),)))
    bookkeeper = Bookkeeper(
        ledger=ledger, file=LedgerFile(tmp_path / "ledger.json", ledger), reader=FakeReader(away=True), clock=clock
    )
    replica.engine.gate.clear()
    await replica.contracts.named(ContractName.parse(CONTRACT))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"

    async def build() -> InferenceApplication:
        return InferenceApplication(
            base=replica.base, engine=Supervisor(replica.engine), fleet=replica.fleet, registry=replica.registry,
            answering=replica.answering, admission=replica.admission, bookkeeper=bookkeeper,
            telemetry=Telemetry.of("drain"), drain_seconds=DRAIN_SECONDS,
        )  # fmt: skip

    security = secure(SecuritySettings(insecure_loopback=True), address)
    served = asyncio.create_task(_serve(ServerSettings(address, security, DRAIN_SECONDS), build))
    async with grpc.aio.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service=SERVICE), wait_for_ready=True
        )
        found = Process(replica, served, channel, health, [])
        await found.readiness(SERVING)
        stub = inference_service_pb2_grpc.InferenceServiceStub(channel)
        prompt = inference_service_pb2.Prompt(input="is it so?", contract=CONTRACT)
        for waiting in range(3):
            found.calls.append(stub.Generate(inference_service_pb2.GenerateRequest(prompt=prompt), timeout=30))
            while replica.admission.load != Load(1, waiting):  # noqa: ASYNC110  # requests come over a socket
                await asyncio.sleep(0.005)
        yield found
        replica.engine.gate.set()
        await served


class TestDrain:
    """From SIGTERM to the end of the process."""

    async def test_tells_probes_first_and_serves_who_runs_and_waits(self, process: Process) -> None:
        """Not ready while everybody who was let in is still to be answered; the exit status says that all was well."""
        os.kill(os.getpid(), signal.SIGTERM)
        await process.readiness(NOT_SERVING)
        assert process.replica.admission.load == Load(1, 2)

        process.replica.engine.gate.set()
        answers = await asyncio.gather(*process.calls)

        assert all(answer.text for answer in answers)
        assert await process.served == EXIT_DRAINED
        assert process.replica.admission.load == Load(0, 0)

    async def test_keeps_what_was_counted_to_the_last_request(self, process: Process, tmp_path: Path) -> None:
        """The ledger is on disk when the process ends; the trainer, which is away, hears of it from the next one."""
        os.kill(os.getpid(), signal.SIGTERM)
        await process.readiness(NOT_SERVING)
        process.replica.engine.gate.set()
        await asyncio.gather(*process.calls)
        await process.served

        later = Ledger(lambda: "other")
        LedgerFile(tmp_path / "ledger.json", later).restore()
        assert [entry.counts.answered_requests for entry in later.unreported()] == [3]

    async def test_refuses_by_name_who_cannot_begin_in_time(self, process: Process) -> None:
        """Two that waited are told to go elsewhere while the one that runs is still served."""
        os.kill(os.getpid(), signal.SIGTERM)
        refusals = []
        for call in process.calls[1:]:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            refusals.append(from_rpc_error(caught.value))
        assert process.replica.admission.load == Load(1, 0)
        process.replica.engine.gate.set()
        answer = await process.calls[0]

        assert [(refusal.reason, refusal.retry_after_seconds) for refusal in refusals] == [("NOT_SERVING", 1.0)] * 2
        assert answer.text
        assert await process.served == EXIT_DRAINED
