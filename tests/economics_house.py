"""A trainer with prices and an adapter that cost something, and replicas that count; engines in memory."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import grpc

from goldsmith.inference.v1 import inference_service_pb2_grpc
from inference_svc.app.bookkeeper import Bookkeeper
from inference_svc.app.ledger_file import LedgerFile
from inference_svc.app.meter import Meter
from inference_svc.app.usage_counter import UsageCounter
from inference_svc.domain.generation import Question, Sampling
from inference_svc.domain.ledger import Ledger
from inference_svc.service import InferenceServicer
from inference_svc.usage_client import GrpcUsageReader
from shared.base_model import BaseModel
from shared.client import EconomicsClient
from shared.clock import Clock, SystemClock
from shared.names import AdapterName
from shared.rpc.interceptor import ErrorInterceptor
from shared.testing import ManualClock
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, CONTRACT, Replica
from trainer_svc.bootstrap import TrainerApplication
from trainer_svc.config import Settings
from trainer_svc.domain.dataset import Dataset, DatasetState
from trainer_svc.domain.job import Job, JobSpec, JobState
from trainer_svc.domain.registry import Revision
from trainer_svc.domain.teacher import Labelling, TeacherKind, TeacherSettings
from trainer_svc.store import catalog, history, shelf
from trainer_svc.store.database import Database

Found = TypeVar("Found")
DATASET, JOB = "tenants/acme/datasets/golden", "tenants/acme/jobs/first"
ZERO = "sha256:" + "0" * 64
_TEACHERS = """
[teachers.large]
kind = "openai"
url = "https://teacher.test/v1"
model = "large"
tenants = "*"
price_per_answer = {price}
"""


@dataclass(frozen=True)
class Tariff:
    """What the operator charges, as it is written in settings, and what the adapter took."""

    prompt: str = "0.5"
    cached: str = "0.05"
    output: str = "1.5"
    cache_percent: int = 100
    hour: float = 0.9
    answer: str = "0.002"
    run_seconds: float = 1800.0
    answer_count: int = 300


class CountingReplica:
    """One process of the inference service, as far as it counts. `clock` is its own."""

    def __init__(
        self, base: BaseModel, folder: Path, trainer: str, clock: Clock | None = None, **fields: object
    ) -> None:
        clock = clock or SystemClock()
        self.ledger = Ledger(lambda: str(uuid.uuid4()))
        meter = Meter((UsageCounter(self.ledger, clock),))
        self.replica = Replica(base, folder, meter=meter, **fields)  # type: ignore[arg-type]  # fields by name
        self.channel = grpc.aio.insecure_channel(trainer)
        self.keeper = Bookkeeper(
            ledger=self.ledger, file=LedgerFile(folder / "ledger.json", self.ledger),
            reader=GrpcUsageReader(self.channel), clock=clock, save_seconds=0.01, report_seconds=0.01,
        )  # fmt: skip
        self.keeper.restore()

    async def open(self) -> CountingReplica:
        """Loads the adapter."""
        self.replica.fleet.point(ALIAS, self.replica.publish(1))
        await self.replica.settle()
        return self

    async def ask(self, *inputs: str, adapter: str = ADAPTER, instructions: str = "") -> None:
        """One request for each input."""
        contract = "" if adapter else CONTRACT
        for text in inputs:
            question = Question(adapter, text, instructions, contract, None, Sampling(), 60.0)
            await self.replica.answering.answer(question)

    async def close(self) -> None:
        """As a drain."""
        await self.keeper.stop()
        await self.replica.fleet.stop()
        await self.channel.close()


@dataclass
class EconomicsHouse:
    """A trainer behind a socket, which can be taken away and put back."""

    base: BaseModel
    folder: Path
    application: TrainerApplication
    server: grpc.aio.Server
    address: str
    replicas: list[CountingReplica] = field(default_factory=list)

    async def add_replica(self, name: str = "a", clock: Clock | None = None, **fields: object) -> CountingReplica:
        """A replica in a folder of that name: of the same name, what comes after one that was killed."""
        folder = self.folder / name
        self.replicas.append(await CountingReplica(self.base, folder, self.address, clock, **fields).open())
        return self.replicas[-1]

    async def read(self, work: Callable[[EconomicsClient], Found]) -> Found:
        """Runs what a client does in a thread of its own, as the client is a blocking one."""

        def run() -> Found:
            with EconomicsClient(self.address) as client:
                return work(client)

        return await asyncio.to_thread(run)

    async def answered(self) -> int:
        """Requests in the trainer's ledger."""
        records = await self.read(lambda client: list(client.usage("tenants/acme")))
        return sum(record.counts.answered_request_count for record in records)

    async def until_answered(self, requests: int) -> None:
        """Waits until so many are in the trainer's ledger."""
        while await self.answered() < requests:  # noqa: ASYNC110  # of another process, in effect
            await asyncio.sleep(0.01)

    async def stop_trainer(self) -> None:
        """Nobody answers at its address."""
        await self.server.stop(0)

    async def start_trainer(self) -> None:
        """At the same address."""
        self.server, _ = await serve(self.application, self.address)


async def serve(application: TrainerApplication, address: str = "127.0.0.1:0") -> tuple[grpc.aio.Server, str]:
    """The trainer's services on a socket of their own."""
    server = grpc.aio.server(interceptors=[ErrorInterceptor()])
    application.register(server)
    port = server.add_insecure_port(address)
    await server.start()
    return server, f"127.0.0.1:{port}"


async def serve_replica(counting: CountingReplica) -> tuple[grpc.aio.Server, str]:
    """The inference service of a replica on a socket of its own."""
    server = grpc.aio.server(interceptors=[ErrorInterceptor()])
    servicer = InferenceServicer(counting.replica.answering, counting.replica.fleet)
    inference_service_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    return server, address


@asynccontextmanager
async def open_economics(
    base: BaseModel, folder: Path, tariff: Tariff | None = None, others: Sequence[Job] = ()
) -> AsyncIterator[EconomicsHouse]:
    """The adapter has one revision, made by one job on a dataset that a teacher labelled; `others` are stored, too."""
    tariff, data = tariff or Tariff(), folder / "trainer"
    data.mkdir()
    teachers = folder / "teachers.toml"
    teachers.write_text(_TEACHERS.format(price=tariff.answer))
    await _furnish(data, tariff, others)
    settings = Settings(
        base.folder, data, parallel_jobs=0, teachers_file=teachers, price_per_hour=tariff.hour, currency="EUR",
        price_per_million_prompt_tokens=tariff.prompt, price_per_million_cached_tokens=tariff.cached,
        price_per_million_output_tokens=tariff.output, instruction_cache_percent=tariff.cache_percent,
    )  # fmt: skip
    application = TrainerApplication(settings)
    server, address = await serve(application)
    await application.start()
    house = EconomicsHouse(base, folder, application, server, address)
    try:
        yield house
    finally:
        for counting in house.replicas:
            await counting.close()
        await application.drain()
        await house.server.stop(0)
        await application.stop()


async def _furnish(data: Path, tariff: Tariff, others: Sequence[Job]) -> None:
    """What training and labelling left."""
    database, now = Database(f"sqlite:///{data}/trainer.db"), ManualClock().now()
    database.migrate()
    asked = TeacherSettings("large")
    dataset = Dataset(
        DATASET, CONTRACT, "", "", now, state=DatasetState.ACTIVE, teacher=asked,
        labelling=Labelling(asked, TeacherKind.OPENAI, ("large",), ZERO, ZERO, tariff.answer_count),
    )  # fmt: skip
    revision = Revision("", ZERO, (), JOB, CONTRACT, ZERO, now)
    done = Job(
        JOB, DATASET, ADAPTER, "live", JobSpec(), now, state=JobState.SUCCEEDED, attempt=1,
        run_seconds=tariff.run_seconds, revision=f"{ADAPTER}/revisions/1",
    )  # fmt: skip
    await database.run(lambda c: catalog.add_dataset(c, dataset))
    await database.run(lambda c: shelf.add_revision(c, AdapterName("acme", "answer"), revision))
    for job in (done, *others):
        await database.run(lambda c, job=job: history.add_job(c, job))
    database.close()
