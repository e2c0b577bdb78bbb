"""The composition root: the one place that knows every class of the service."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import grpc

from goldsmith.contract.v1 import contract_service_pb2_grpc
from goldsmith.registry.v1 import (
    promotion_service_pb2_grpc,
    registry_service_pb2_grpc,
)
from goldsmith.trainer.v1 import (
    dataset_service_pb2_grpc,
    economics_service_pb2_grpc,
    evaluation_service_pb2_grpc,
    preference_service_pb2_grpc,
    training_service_pb2_grpc,
)
from shared.adapter.key_file import read_signer
from shared.base_model import BaseModel
from shared.changes import Changes
from shared.clock import SystemClock
from shared.contracts.compiler import ContractCompiler
from shared.prompt import PromptRenderer
from shared.storage.local import LocalBlobStore
from shared.telemetry.telemetry import Telemetry
from trainer_svc.app.calibrator import Calibrator
from trainer_svc.app.contracts import Contracts
from trainer_svc.app.curator import Curator
from trainer_svc.app.datasets import Datasets
from trainer_svc.app.economics import Economics, Prices
from trainer_svc.app.estimates import Estimates
from trainer_svc.app.evaluations import Evaluations
from trainer_svc.app.jobs import Jobs
from trainer_svc.app.labelling import Labeller
from trainer_svc.app.live_comparison import StoredAnswers
from trainer_svc.app.preferences import PreferenceStudies
from trainer_svc.app.promotion_gate import PromotionGate
from trainer_svc.app.promotions import Promotions
from trainer_svc.app.publisher import Publisher
from trainer_svc.app.registry import RegistryReader
from trainer_svc.app.retention import Retention
from trainer_svc.app.run_files import RunFiles, RunnerSettings
from trainer_svc.app.runner import Runner
from trainer_svc.app.sweeper import Sweeper
from trainer_svc.app.upload import Uploads
from trainer_svc.config import Settings
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.curation.personal.plugin import load_finder
from trainer_svc.domain.estimate import Price
from trainer_svc.domain.run import ServedType
from trainer_svc.evaluation.benchmark import load_benchmarks
from trainer_svc.service.contract import ContractServicer
from trainer_svc.service.dataset import DatasetServicer
from trainer_svc.service.economics import EconomicsServicer
from trainer_svc.service.evaluation import EvaluationServicer
from trainer_svc.service.preference import PreferenceServicer
from trainer_svc.service.promotion import PromotionServicer
from trainer_svc.service.registry import RegistryServicer
from trainer_svc.service.training import TrainingServicer
from trainer_svc.store.database import Database
from trainer_svc.teacher.book import TeacherBook
from trainer_svc.telemetry.metric import PrometheusObserver

_log = logging.getLogger(__name__)


class TrainerApplication:
    """Implements `shared.rpc.server.Application`."""

    def __init__(self, settings: Settings) -> None:
        self._telemetry = Telemetry.of("trainer", otlp_endpoint=settings.otlp_endpoint)
        clock, data_dir = SystemClock(), settings.data_dir.resolve()
        key_file = settings.signing_key_file
        signer = read_signer(key_file, "signing_key_file") if key_file is not None else None
        if signer is not None:
            _log.info("what is published is signed", extra={"key_id": signer.key_id})
        data_dir.mkdir(parents=True, exist_ok=True)
        contract_dir = data_dir / "contracts"
        self._base = BaseModel.load(settings.base_model_dir)
        self._database = Database(settings.database_url or f"sqlite:///{data_dir / 'trainer.db'}")
        self._changes = Changes()
        blobs = LocalBlobStore(data_dir / "blobs")
        compiler = ContractCompiler(contract_dir, self._base.vocabulary())
        observer = PrometheusObserver(self._telemetry.registry, label_sets=settings.metrics_label_sets)
        runner_settings = RunnerSettings(
            runs_dir=data_dir / "runs",
            contract_dir=contract_dir,
            threads=settings.training_threads,
            processes=settings.training_processes,
            servability_proof=settings.servability_mode,
            max_lora_rank=settings.max_lora_rank,
            served_type=ServedType(settings.served_dtype),
            served_context_tokens=settings.served_context_tokens,
            parallel_jobs=settings.parallel_jobs,
            benchmark_dir=_benchmarks(settings.benchmark_dir),
        )
        gate = PromotionGate(StoredAnswers(blobs))
        self._runner = Runner(
            database=self._database,
            blobs=blobs,
            publisher=Publisher(self._database, blobs, clock, gate, signer),
            changes=self._changes,
            clock=clock,
            base=self._base,
            settings=runner_settings,
            observer=observer,
        )
        self._calibrator = Calibrator(
            database=self._database,
            files=RunFiles(self._database, blobs, self._base, runner_settings),
            machine=self._runner.machine,
            clock=clock,
            base=self._base,
            folder=data_dir / "calibration",
            threads=settings.training_threads,
        )
        self._retention = Retention(
            self._database, clock, runs_dir=data_dir / "runs", keep_seconds=settings.run_retention_hours * 3600
        )
        self._contracts = ContractServicer(Contracts(self._database, compiler, clock))
        uploads = Uploads(data_dir / "uploads")
        examples = ExampleCompiler(
            PromptRenderer.load(self._base), self._base.max_positions, base_digest=lambda: self._base.digest
        )
        finder = load_finder(settings.personal_data_finder)
        teachers = TeacherBook.open(settings.teachers_file)
        self._labeller = Labeller(self._database, uploads, blobs, teachers)
        datasets = Datasets(
            self._database, uploads, blobs, clock,
            compiler=examples, labeller=self._labeller, finder=finder, observer=observer,
        )  # fmt: skip
        self._golden = datasets
        self._sweeper = Sweeper(datasets, uploads, clock, retention_hours=settings.upload_retention_hours)
        curator = Curator(self._database, blobs, clock, compiler=examples, finder=finder, observer=observer)
        self._datasets = DatasetServicer(datasets, curator, clock)
        price = Price(settings.price_per_hour, settings.currency, settings.watts)
        estimates = Estimates(
            self._database, self._base, threads=settings.training_threads, price=price,
            calibrator=self._calibrator if settings.parallel_jobs else None, processes=settings.training_processes,
        )  # fmt: skip
        jobs = Jobs(
            self._database, self._changes, clock,
            tenant_limit=settings.tenant_waiting_jobs, limit=settings.waiting_jobs, observer=observer,
        )  # fmt: skip
        self._training = TrainingServicer(jobs, estimates, clock)
        self._evaluations = EvaluationServicer(Evaluations(self._database, blobs))
        self._preferences = PreferenceServicer(PreferenceStudies(self._database, blobs, clock), clock)
        self._registry = RegistryServicer(RegistryReader(self._database, blobs, self._changes, clock, gate))
        self._promotion = PromotionServicer(Promotions(self._database, self._changes, clock, gate))
        prices = Prices(settings.token_prices, settings.training_hour_price, settings.currency)
        self._economics = EconomicsServicer(Economics(self._database, clock, prices, teachers))
        self._running: asyncio.Task[None] | None = None
        self._sweeping: list[asyncio.Task[None]] = []

    @property
    def telemetry(self) -> Telemetry:
        """Metrics of RPCs, jobs and datasets, and traces of RPCs."""
        return self._telemetry

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the servicers."""
        contract_service_pb2_grpc.add_ContractServiceServicer_to_server(self._contracts, server)
        dataset_service_pb2_grpc.add_DatasetServiceServicer_to_server(self._datasets, server)
        training_service_pb2_grpc.add_TrainingServiceServicer_to_server(self._training, server)
        evaluation_service_pb2_grpc.add_EvaluationServiceServicer_to_server(self._evaluations, server)
        preference_service_pb2_grpc.add_PreferenceServiceServicer_to_server(self._preferences, server)
        registry_service_pb2_grpc.add_RegistryServiceServicer_to_server(self._registry, server)
        promotion_service_pb2_grpc.add_PromotionServiceServicer_to_server(self._promotion, server)
        economics_service_pb2_grpc.add_EconomicsServiceServicer_to_server(self._economics, server)

    async def start(self) -> Mapping[str, object]:
        """Brings the database up to date and takes up what an earlier process left."""
        await asyncio.to_thread(self._database.migrate)
        await self._calibrator.begin()
        await self._runner.recover()
        self._running = asyncio.create_task(self._runner.run())
        await self._sweeper.begin()
        await self._golden.take_up()
        self._sweeping = [asyncio.create_task(sweep.run()) for sweep in (self._sweeper, self._retention)]
        return {
            "base_model": self._base.model_id,
            "base_model_digest": await asyncio.to_thread(lambda: self._base.digest),
        }

    async def drain(self) -> None:
        """Ends every watch; calls that run go on."""
        self._changes.close()

    async def stop(self) -> None:
        """Kills training children; their jobs go on at the next start."""
        for task in (*self._sweeping, self._running):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        await self._calibrator.stop()
        await self._runner.stop()
        await self._labeller.stop()
        await asyncio.to_thread(self._database.close)

    async def readiness(self) -> AsyncIterator[bool]:
        """Serves from start to end."""
        yield True

    async def failed(self) -> None:
        """Returns when the runner ended, which only a bug makes it do."""
        assert self._running is not None, "start() comes first"
        await asyncio.wait({self._running})
        _log.error("the job runner ended", exc_info=self._running.exception())


async def build(settings: Settings) -> TrainerApplication:
    """Wires the service; starts nothing."""
    return TrainerApplication(settings)


def _benchmarks(folder: Path | None) -> Path | None:
    """The folder, once its files could be read: a mistake in them is told now, and not by every job."""
    if folder is not None:
        load_benchmarks(folder)
    return folder.resolve() if folder is not None else None
