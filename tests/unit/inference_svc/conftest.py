"""A replica without vLLM: an in-memory engine that walks real automata, and an in-memory registry."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from inference_svc.app.adapter_cache import AdapterCache
from inference_svc.app.admission import Admission
from inference_svc.app.answering import Answering
from inference_svc.app.contract_library import ContractLibrary
from inference_svc.app.fleet import Fleet
from inference_svc.app.loader import Loader
from inference_svc.app.meter import UNOBSERVED, Meter
from inference_svc.app.ports import EngineCall, EngineChunk, InferenceEngine, RevisionFacts
from inference_svc.app.quota_book import OneQuota
from inference_svc.domain.quota import Quota
from inference_svc.domain.residency import AdapterKey, ResidentState
from shared.adapter.manifest import AdapterManifest, Canary
from shared.adapter.package import CONFIG_NAME, WEIGHTS_NAME, write_package
from shared.adapter.validate import TARGET_MODULES
from shared.base_model import BaseModel
from shared.contracts.compiler import ContractCompiler
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import NotFound, StateConflict, Unavailable
from shared.names import AliasName, ContractName, RevisionName
from shared.prompt import PromptRenderer
from tests.adapter_file import random_lora

RANK = 4
SPEC = ContractSpec(ContractKind.JSON, json_schema='{"enum":["yes","no","perhaps"]}')
CONTRACT = "tenants/acme/contracts/answer"
ADAPTER = "tenants/acme/adapters/answer"
ALIAS = AliasName("acme", "answer", "live")


def revision(number: int) -> RevisionName:
    """A revision of the one adapter."""
    return RevisionName("acme", "answer", number)


class FakeEngine:
    """Answers by `script`, then greedily by the automaton's first allowed token.

    `gate` holds answers back until it is set; `calls` are all requests so far; it dies of what `deadly` says.
    """

    def __init__(self, contract_dir: Path) -> None:
        self._contract_dir = contract_dir
        self.adapters: set[AdapterKey] = set()
        self.refused: set[str] = set()
        self.closed_early = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.dead, self.startable = asyncio.Event(), asyncio.Event()
        self.startable.set()
        self.starts = self.failing_starts = 0
        self.deadly: Callable[[EngineCall], bool] = lambda call: False
        self.entered = asyncio.Event()
        self.lie: list[int] | None = None
        self.script: list[list[int]] = []
        self.calls: list[EngineCall] = []

    async def start(self) -> None:
        """A new life, without adapters, once `startable` is set; fails as often as `failing_starts` says."""
        self.starts += 1
        await self.startable.wait()
        if self.failing_starts:
            self.failing_starts -= 1
            raise Unavailable("NOT_SERVING", "the engine does not start")
        self.adapters.clear()
        self.dead.clear()

    def die(self) -> None:
        """As a crash would: whatever runs or comes now fails."""
        self.dead.set()
        self.gate.set()

    def check(self) -> None:
        """Raises when dead."""
        if self.dead.is_set():
            raise Unavailable("NOT_SERVING", "the engine died")

    async def add_adapter(self, key: AdapterKey) -> None:
        """Refuses what `refused` names."""
        await asyncio.sleep(0)
        self.check()
        if key.name.split("@")[0] in self.refused:
            raise StateConflict("ADAPTER_REJECTED", "refused by the engine")
        self.adapters.add(key)

    async def remove_adapter(self, key: AdapterKey) -> None:
        """Forgets it."""
        self.adapters.discard(key)

    async def generate(self, call: EngineCall) -> AsyncGenerator[EngineChunk]:
        """One token a chunk when streaming, one chunk otherwise."""
        from shared.contracts.store import read_contract

        self.check()
        assert call.adapter is None or call.adapter in self.adapters, "an adapter that is not in the engine"
        self.calls.append(call)
        guide = read_contract(self._contract_dir / call.contract_digest.removeprefix("sha256:")).guide()
        tokens: list[int] = []
        while not guide.is_finished():
            mask = guide.mask(call.max_tokens - len(tokens))
            tokens.append(int(np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little"))[0]))
            assert guide.advance(tokens[-1])
        finished, life = False, self.starts
        self.entered.set()
        if self.deadly(call):
            self.die()
        try:
            await self.gate.wait()
            if self.starts != life:
                raise Unavailable("NOT_SERVING", "the engine died")
            self.check()
            sent = self.lie or (self.script.pop(0) if self.script else tokens)
            for chunk in ([t] for t in sent) if call.stream else (sent,):
                yield EngineChunk(chunk, 0, finished=False)
            finished = True
        finally:
            self.closed_early += not finished

    async def failed(self) -> None:
        """When it died."""
        await self.dead.wait()

    async def stop(self) -> None:
        """Nothing to do."""


@dataclass
class FakeRegistry:
    """Packages by revision."""

    packages: dict[RevisionName, Path] = field(default_factory=dict)
    digests: dict[RevisionName, str] = field(default_factory=dict)
    specs: dict[str, ContractSpec] = field(default_factory=lambda: {CONTRACT: SPEC})
    downloads: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def revision(self, name: RevisionName) -> RevisionFacts:
        """Raises `NotFound` for unknown ones."""
        if name not in self.digests:
            raise NotFound("RESOURCE_NOT_FOUND", f"{name} does not exist")
        return RevisionFacts(name, self.digests[name])

    async def download(self, name: RevisionName, folder: Path) -> None:
        """Copies the package."""
        self.downloads += 1
        self.asked.set()
        for path in self.packages[name].iterdir():
            (folder / path.name).write_bytes(path.read_bytes())

    async def watch_aliases(self) -> AsyncIterator[tuple[AliasName, RevisionName]]:
        """Nothing happens."""
        await asyncio.Event().wait()
        yield ALIAS, revision(1)

    async def contract(self, name: ContractName) -> ContractSpec:
        """One of `specs`."""
        if str(name) not in self.specs:
            raise NotFound("RESOURCE_NOT_FOUND", f"{name} does not exist")
        return self.specs[str(name)]

    async def close(self) -> None:
        """Nothing to do."""


@dataclass
class Replica:
    """Everything wired as in the composition root, with the two fakes."""

    base: BaseModel
    folder: Path
    capacity: int = 2
    running: int = 8
    queued: int = 8
    quota: Quota = field(default_factory=Quota)
    context_tokens: int = 128
    meter: Meter = UNOBSERVED

    def __post_init__(self) -> None:
        self.renderer = PromptRenderer.load(self.base)
        self.engine = FakeEngine(self.folder / "contracts")
        self.asked = self.serving_engine()
        self.registry = FakeRegistry()
        self.compiler = ContractCompiler(self.folder / "contracts", self.base.vocabulary())
        self.contracts = ContractLibrary(self.compiler, self.registry)
        self.fleet = self.new_fleet()
        self.admission = Admission(running=self.running, queued=self.queued, quotas=OneQuota(self.quota))
        self.answering = Answering(
            engine=self.asked,
            fleet=self.fleet,
            contracts=self.contracts,
            renderer=self.renderer,
            admission=self.admission,
            token_bytes=dict(self.base.vocabulary().token_bytes),
            context_tokens=self.context_tokens,
            format_attempts=3,
            meter=self.meter,
        )

    def serving_engine(self) -> InferenceEngine:
        """What fleet and requests ask."""
        return self.engine

    def new_fleet(self) -> Fleet:
        """A fleet as after a restart: same disk, nothing in memory."""
        loader = Loader(
            cache=AdapterCache(self.folder / "adapters", 1 << 30),
            base=self.base,
            prompt_digest=self.renderer.digest,
            max_rank=16,
            engine=self.asked,
            registry=self.registry,
            contracts=self.contracts,
        )
        return Fleet(
            loader=loader,
            engine=self.asked,
            registry=self.registry,
            state_file=self.folder / "aliases.json",
            capacity=self.capacity,
            meter=self.meter,
        )

    def publish(self, number: int, *, canary: tuple[int, ...] = (), prompt_digest: str = "") -> RevisionName:
        """Puts a revision with its own weights into the registry."""
        name = revision(number)
        tensors = random_lora(self.base, rank=RANK, seed=number, scale=0.02)
        source = self.folder / f"source-{number}"
        source.mkdir(parents=True)
        save_file(tensors, source / "weights")
        config = {
            "peft_type": "LORA",
            "base_model_name_or_path": self.base.model_id,
            "r": RANK,
            "lora_alpha": 8,
            "target_modules": list(TARGET_MODULES),
            "use_rslora": False,
        }
        (source / "config").write_text(json.dumps(config))
        manifest = AdapterManifest(
            base_model_id=self.base.model_id,
            base_model_digest=self.base.digest,
            prompt_digest=prompt_digest or self.renderer.digest,
            contract_name=CONTRACT,
            contract=SPEC,
            rank=RANK,
            alpha=8.0,
            target_modules=TARGET_MODULES,
            dataset_digest="sha256:" + "0" * 64,
            canaries=(Canary((3, 4), canary),) if canary else (),
            instruction_prompt_tokens=900,
        )
        folder = self.folder / f"package-{number}"
        written = write_package(folder, manifest, {WEIGHTS_NAME: source / "weights", CONFIG_NAME: source / "config"})
        self.registry.packages[name], self.registry.digests[name] = folder, written.digest
        return name

    async def settle(self) -> None:
        """Waits until nothing is loaded, retired or saved any more that was asked for."""
        aliases, prefetch = self.fleet._aliases, self.fleet._prefetch
        await prefetch.done()
        while tasks := [*aliases._tasks.values(), *aliases._ending]:
            await asyncio.wait(tasks)
        await prefetch.done()
        if aliases._saving is not None:
            await aliases._saving

    async def use(self, name: str) -> None:
        """A request that holds what `name` means for a moment."""
        async with self.fleet.lease(name):
            pass

    def states(self) -> dict[int, ResidentState]:
        """Where each revision of the tenant is, by number."""
        return {resident.revision.number: resident.state for resident, _ in self.fleet.residents("acme")}


async def let_run() -> None:
    """Gives whatever can go on the time to."""
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.fixture
def replica(tiny_base: BaseModel, tmp_path: Path) -> Replica:
    """A replica with room for two adapters."""
    return Replica(tiny_base, tmp_path)
