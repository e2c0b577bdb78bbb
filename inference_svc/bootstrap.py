"""The composition root: the one place that knows every class of the service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

import grpc

from goldsmith.inference.v1 import inference_service_pb2, inference_service_pb2_grpc
from inference_svc.app.admission import Admission
from inference_svc.app.answering import Answering
from inference_svc.app.contract_library import ContractLibrary
from inference_svc.app.fleet import Fleet
from inference_svc.app.follower import follow_aliases
from inference_svc.app.loader import Loader
from inference_svc.config import Settings
from inference_svc.engine.vllm_engine import EngineSettings, VllmEngine
from inference_svc.registry_client import GrpcRegistry
from inference_svc.service import InferenceServicer
from shared.base_model import BaseModel
from shared.contracts.compiler import ContractCompiler
from shared.prompt import PromptRenderer

_SERVICE = inference_service_pb2.DESCRIPTOR.services_by_name["InferenceService"].full_name


class InferenceApplication:
    """Implements `shared.rpc.server.Application`."""

    def __init__(
        self, base: BaseModel, engine: VllmEngine, fleet: Fleet, registry: GrpcRegistry, answering: Answering,
        admission: Admission,
    ) -> None:  # fmt: skip
        self._base, self._engine, self._fleet, self._registry = base, engine, fleet, registry
        self._answering, self._admission = answering, admission
        self._follower: asyncio.Task[None] | None = None

    @property
    def service_names(self) -> Sequence[str]:
        """The inference service."""
        return [_SERVICE]

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the servicer."""
        servicer = InferenceServicer(self._answering, self._fleet)
        inference_service_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server)

    async def start(self) -> Mapping[str, object]:
        """Starts the engine, then takes up the adapters known from before and follows the registry."""
        await self._engine.start()
        self._fleet.restore()
        self._follower = asyncio.create_task(follow_aliases(self._registry, self._fleet))
        digest = await asyncio.to_thread(lambda: self._base.digest)
        return {"base_model": self._base.model_id, "base_model_digest": digest}

    async def drain(self) -> None:
        """Refuses new requests and ends every watch."""
        self._admission.close()
        self._fleet.close_watches()

    async def stop(self) -> None:
        """Ends follower, loads and engine."""
        if self._follower is not None:
            self._follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._follower
        await self._fleet.stop()
        await self._engine.stop()
        await self._registry.close()

    async def failed(self) -> None:
        """Returns when the engine or the alias follower is dead."""
        assert self._follower is not None, "start() comes first"
        engine = asyncio.create_task(self._engine.failed())
        await asyncio.wait({engine, self._follower}, return_when=asyncio.FIRST_COMPLETED)
        engine.cancel()


async def build(settings: Settings) -> InferenceApplication:
    """Wires the service; starts nothing."""
    base = BaseModel.load(settings.base_model_dir)
    renderer = PromptRenderer.load(base)
    vocabulary = base.vocabulary()
    data_dir = settings.data_dir.resolve()
    contract_dir = data_dir / "contracts"
    engine = VllmEngine(
        EngineSettings(
            base_model_dir=base.folder,
            contract_dir=contract_dir,
            id_file=data_dir / "last_adapter_id",
            context_tokens=min(settings.max_context_tokens, base.max_positions),
            threads=settings.threads,
            max_lora_rank=settings.max_lora_rank,
            batch_adapters=settings.batch_adapters,
            resident_adapters=settings.resident_adapters,
            running_requests=settings.running_requests,
            kv_cache_gib=settings.kv_cache_gib,
        )
    )
    registry = GrpcRegistry(settings.registry, settings.registry_credentials)
    contracts = ContractLibrary(ContractCompiler(contract_dir, vocabulary), registry)
    loader = Loader(
        folder=data_dir / "adapters",
        base=base,
        prompt_digest=renderer.digest,
        max_rank=settings.max_lora_rank,
        engine=engine,
        registry=registry,
        contracts=contracts,
    )
    fleet = Fleet(
        loader=loader,
        engine=engine,
        registry=registry,
        state_file=data_dir / "aliases.json",
        capacity=settings.resident_adapters,
    )
    admission = Admission(running=settings.running_requests, queued=settings.queued_requests)
    answering = Answering(
        engine=engine,
        fleet=fleet,
        contracts=contracts,
        renderer=renderer,
        admission=admission,
        token_bytes=dict(vocabulary.token_bytes),
        context_tokens=min(settings.max_context_tokens, base.max_positions),
        format_attempts=settings.format_attempts,
    )
    return InferenceApplication(base, engine, fleet, registry, answering, admission)
