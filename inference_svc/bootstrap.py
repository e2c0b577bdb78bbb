"""The composition root: the one place that knows every class of the service."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Mapping

import grpc

from goldsmith.inference.v1 import inference_service_pb2_grpc
from inference_svc.app.adapter_cache import AdapterCache
from inference_svc.app.admission import Admission
from inference_svc.app.answering import Answering
from inference_svc.app.bookkeeper import Bookkeeper
from inference_svc.app.contract_library import ContractLibrary
from inference_svc.app.fleet import Fleet
from inference_svc.app.follower import follow_aliases, follow_pins
from inference_svc.app.ledger_file import LedgerFile
from inference_svc.app.loader import Loader
from inference_svc.app.meter import Meter
from inference_svc.app.quarantine import Quarantine
from inference_svc.app.quota_book import OneQuota, QuotaFile, QuotaSource
from inference_svc.app.sentinel import Sentinel
from inference_svc.app.signature_gate import SignatureGate
from inference_svc.app.supervisor import Supervisor
from inference_svc.app.usage_counter import UsageCounter
from inference_svc.config import Settings
from inference_svc.domain.adapter_room import AdapterRoom
from inference_svc.domain.ledger import Ledger
from inference_svc.engine.vllm_engine import EngineSettings, VllmEngine
from inference_svc.registry_client import GrpcRegistry
from inference_svc.service import InferenceServicer
from inference_svc.telemetry.metric import PrometheusObserver
from inference_svc.telemetry.span import TraceObserver
from inference_svc.usage_client import GrpcUsageReader
from shared.adapter.key_file import TrustedKeyFile
from shared.base_model import BaseModel
from shared.clock import SystemClock
from shared.contracts.compiler import ContractCompiler
from shared.prompt import PromptRenderer
from shared.telemetry.telemetry import Telemetry

_log = logging.getLogger(__name__)


class InferenceApplication:
    """Implements `shared.rpc.server.Application`."""

    def __init__(  # noqa: PLR0913  # collaborators, keyword-only
        self, *, base: BaseModel, engine: Supervisor, fleet: Fleet, registry: GrpcRegistry, answering: Answering,
        admission: Admission, bookkeeper: Bookkeeper, telemetry: Telemetry, drain_seconds: float,
    ) -> None:  # fmt: skip
        self._base, self._engine, self._fleet, self._registry = base, engine, fleet, registry
        self._answering, self._admission, self._drain_seconds = answering, admission, drain_seconds
        self._bookkeeper, self._telemetry = bookkeeper, telemetry
        self._background: list[asyncio.Task[None]] = []

    @property
    def telemetry(self) -> Telemetry:
        """Metrics and traces of RPCs, requests and loads."""
        return self._telemetry

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the servicer."""
        servicer = InferenceServicer(self._answering, self._fleet)
        inference_service_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server)

    async def start(self) -> Mapping[str, object]:
        """Starts the engine, takes up the adapters known from before, the pinned first, and follows the registry."""
        await self._engine.start()
        self._bookkeeper.restore()
        self._fleet.restore()
        self._fleet.pin(self._admission.quotas.pins())
        self._background = [
            asyncio.create_task(follow_pins(self._admission.quotas, self._fleet)),
            asyncio.create_task(self._engine.run(self._fleet.engine_lost, self._fleet.engine_back)),
            asyncio.create_task(follow_aliases(self._registry, self._fleet)),
            asyncio.create_task(self._bookkeeper.run()),
        ]
        await self._fleet.pinned()
        digest = await asyncio.to_thread(lambda: self._base.digest)
        return {"base_model": self._base.model_id, "base_model_digest": digest}

    async def drain(self) -> None:
        """Refuses new requests and ends every watch; who waits begins within half of the time, or not at all."""
        self._admission.close(serve_waiting_seconds=self._drain_seconds / 2)
        self._fleet.close_watches()

    async def stop(self) -> None:
        """Ends followers, supervision, loads and engine; what was counted until now is kept."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._bookkeeper.stop()
        await self._fleet.stop()
        await self._engine.stop()
        await self._registry.close()

    def readiness(self) -> AsyncIterator[bool]:
        """Whether the engine is up."""
        return self._engine.readiness()

    async def failed(self) -> None:
        """Returns when the engine dies again and again, or another background task ended, which is a bug."""
        done, _ = await asyncio.wait(self._background, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            _log.error("a background task ended", exc_info=task.exception())


async def build(settings: Settings) -> InferenceApplication:
    """Wires the service; starts nothing."""
    telemetry = Telemetry.of("inference", otlp_endpoint=settings.otlp_endpoint)
    clock, ledger = SystemClock(), Ledger(lambda: str(uuid.uuid4()))
    meter = Meter(
        (
            PrometheusObserver(telemetry.registry, label_sets=settings.metrics_label_sets),
            TraceObserver(telemetry.tracer),
            UsageCounter(ledger, clock),
        )
    )
    base = BaseModel.load(settings.base_model_dir)
    renderer = PromptRenderer.load(base)
    vocabulary = base.vocabulary()
    data_dir = settings.data_dir.resolve()
    contract_dir = data_dir / "contracts"
    vllm = VllmEngine(
        EngineSettings(
            base_model_dir=base.folder,
            contract_dir=contract_dir,
            id_file=data_dir / "last_adapter_id",
            context_tokens=min(settings.max_context_tokens, base.max_positions),
            threads=settings.threads,
            dtype=settings.dtype,
            max_lora_rank=settings.max_lora_rank,
            batch_adapters=settings.batch_adapters,
            resident_adapters=settings.resident_adapters,
            running_requests=settings.running_requests,
            kv_cache_gib=settings.kv_cache_gib,
        )
    )
    supervisor = Supervisor(vllm)
    engine = Sentinel(supervisor)
    registry = GrpcRegistry(settings.registry, settings.registry_credentials)
    contracts = ContractLibrary(ContractCompiler(contract_dir, vocabulary), registry)
    loader = Loader(
        cache=AdapterCache(data_dir / "adapters", settings.adapter_cache_gib << 30),
        base=base,
        prompt_digest=renderer.digest,
        max_rank=settings.max_lora_rank,
        engine=engine,
        registry=registry,
        contracts=contracts,
        quarantine=Quarantine(data_dir / "quarantine.json", clock),
        signatures=SignatureGate(_trusted_keys(settings), registry),
    )
    fleet = Fleet(
        loader=loader,
        engine=engine,
        registry=registry,
        state_file=data_dir / "aliases.json",
        capacity=settings.resident_adapters,
        meter=meter,
    )
    engine.tell(fleet.expulsion.of_content)
    admission = Admission(
        running=settings.running_requests,
        queued=settings.queued_requests,
        quotas=_quotas(settings),
        room=AdapterRoom(settings.batch_adapters if settings.group_adapters else None, settings.adapter_patience),
    )
    answering = Answering(
        engine=engine,
        fleet=fleet,
        contracts=contracts,
        renderer=renderer,
        admission=admission,
        token_bytes=dict(vocabulary.token_bytes),
        context_tokens=min(settings.max_context_tokens, base.max_positions),
        format_attempts=settings.format_attempts,
        meter=meter,
    )
    bookkeeper = Bookkeeper(
        ledger=ledger,
        file=LedgerFile(data_dir / "ledger.json", ledger),
        reader=GrpcUsageReader(registry.channel),
        clock=clock,
    )
    return InferenceApplication(
        base=base,
        engine=supervisor,
        fleet=fleet,
        registry=registry,
        answering=answering,
        admission=admission,
        bookkeeper=bookkeeper,
        telemetry=telemetry,
        drain_seconds=settings.drain_seconds,
    )


def _trusted_keys(settings: Settings) -> TrustedKeyFile | None:
    path = settings.trusted_keys_file
    return TrustedKeyFile(path, "trusted_keys_file") if path is not None else None


def _quotas(settings: Settings) -> QuotaSource:
    quota = settings.tenant_quota
    if settings.quota_file is None:
        return OneQuota(quota)
    return QuotaFile(settings.quota_file, quota, max_pins=settings.resident_adapters - 1)
