"""A whole replica on a real engine, with a registry in memory and as many adapters of random weights as asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from inference_svc.app.adapter_cache import AdapterCache
from inference_svc.app.admission import Admission
from inference_svc.app.answering import Answering
from inference_svc.app.contract_library import ContractLibrary
from inference_svc.app.fleet import Fleet
from inference_svc.app.loader import Loader
from inference_svc.app.meter import UNOBSERVED, Meter
from inference_svc.app.quarantine import Quarantine
from inference_svc.app.sentinel import Sentinel
from inference_svc.app.signature_gate import SignatureGate
from inference_svc.app.supervisor import Supervisor
from inference_svc.domain.adapter_room import AdapterRoom
from inference_svc.domain.generation import Answer, Question, Sampling
from inference_svc.engine.vllm_engine import VllmEngine
from shared.adapter.manifest import Canary
from shared.base_model import BaseModel
from shared.clock import SystemClock
from shared.contracts.compiler import ContractCompiler
from shared.contracts.spec import ContractKind, ContractSpec
from shared.names import AliasName, RevisionName
from shared.prompt import PromptRenderer
from tests.adapter_file import write_random_package
from tests.bench.contract import BASE
from tests.bench.engine import RUNNING, settings
from tests.unit.inference_svc.conftest import FakeRegistry

RANK = 8
SPEC = ContractSpec(ContractKind.REGEX, pattern=r"[A-Z]{2}-\d{4}")
"""Seven tokens or so: what is measured is the way of a request and of an adapter, not decoding."""
CONTRACT = "tenants/bench/contracts/ticket"
_QUEUED = 4096


@dataclass
class Replica:
    """Everything wired as in the composition root; only the registry is in memory."""

    folder: Path
    base: BaseModel
    engine: VllmEngine
    supervisor: Supervisor
    fleet: Fleet
    answering: Answering
    registry: FakeRegistry
    renderer: PromptRenderer

    def publish(self, adapter: str, number: int, seed: int, canaries: tuple[Canary, ...] = ()) -> RevisionName:
        """Puts a revision with weights of its own into the registry."""
        name, folder = RevisionName("bench", adapter, number), self.folder / f"package-{adapter}-{number}"
        self.registry.packages[name] = folder
        self.registry.digests[name] = write_random_package(
            self.base,
            folder,
            rank=RANK,
            seed=seed,
            prompt_digest=self.renderer.digest,
            contract=CONTRACT,
            spec=SPEC,
            canaries=canaries,
        )
        return name

    async def ask(self, adapter: str, text: str = "one ticket", seed: int = 0) -> Answer:
        """One request to an adapter's alias `live`, or to `adapter/revisions/number`."""
        return await self.answering.answer(self._question(adapter, text, seed))

    def stream(self, adapter: str, text: str = "one ticket", seed: int = 0) -> AsyncGenerator[str | Answer]:
        """The same in pieces."""
        return self.answering.stream(self._question(adapter, text, seed))

    def _question(self, adapter: str, text: str, seed: int) -> Question:
        return Question(
            adapter=f"tenants/bench/adapters/{adapter}", input=text, instructions="", contract="", kind=None,
            sampling=Sampling(temperature=1.0, seed=seed), deadline_seconds=120.0,
        )  # fmt: skip

    async def flip(self, alias: AliasName, revision: RevisionName) -> None:
        """Points an alias and waits until it serves the revision here."""
        self.fleet.point(alias, revision)
        async with aclosing(self.fleet.watch(alias.tenant)) as changes:
            async for change in changes:
                if change is None or change[0].revision != revision:
                    continue
                if change[0].is_served and str(alias) in change[1]:
                    return


@asynccontextmanager
async def replica(
    folder: Path, *, resident: int, batch_adapters: int = 16, groups_adapters: bool = True, meter: Meter = UNOBSERVED
) -> AsyncIterator[Replica]:
    """A replica with places for `resident` adapters, `batch_adapters` of them in one step of the engine."""
    base = BaseModel.load(BASE)
    renderer = PromptRenderer.load(base)
    vllm = VllmEngine(
        replace(
            settings(base, folder, threads=1, resident_adapters=resident),
            batch_adapters=batch_adapters,
        )
    )
    supervisor = Supervisor(vllm)
    sentinel = Sentinel(supervisor)
    registry = FakeRegistry(specs={CONTRACT: SPEC})
    contracts = ContractLibrary(ContractCompiler(folder / "contracts", base.vocabulary()), registry)
    loader = Loader(
        cache=AdapterCache(folder / "adapters", 1 << 40), base=base, prompt_digest=renderer.digest, max_rank=16,
        engine=sentinel, registry=registry, contracts=contracts,
        quarantine=Quarantine(folder / "quarantine.json", SystemClock()), signatures=SignatureGate(None, registry),
    )  # fmt: skip
    fleet = Fleet(
        loader=loader,
        engine=sentinel,
        registry=registry,
        state_file=folder / "aliases.json",
        capacity=resident,
        meter=meter,
    )
    sentinel.tell(fleet.expulsion.of_content)
    room = AdapterRoom(batch_adapters if groups_adapters else None, 32)
    answering = Answering(
        engine=sentinel, fleet=fleet, contracts=contracts, renderer=renderer,
        admission=Admission(running=RUNNING, queued=_QUEUED, room=room),
        token_bytes=dict(base.vocabulary().token_bytes), context_tokens=1024, format_attempts=3,
    )  # fmt: skip
    await supervisor.start()
    supervision = asyncio.create_task(supervisor.run(fleet.engine_lost, fleet.engine_back))
    try:
        yield Replica(folder, base, vllm, supervisor, fleet, answering, registry, renderer)
    finally:
        supervision.cancel()
        await asyncio.gather(supervision, return_exceptions=True)
        await fleet.stop()
        await supervisor.stop()
