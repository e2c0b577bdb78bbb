"""A replica without vLLM: an engine and a registry in memory, everything else as it is served."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from inference_svc.app.adapter_cache import AdapterCache
from inference_svc.app.admission import Admission
from inference_svc.app.answering import Answering
from inference_svc.app.contract_library import ContractLibrary
from inference_svc.app.fleet import Fleet
from inference_svc.app.loader import Loader
from inference_svc.app.meter import UNOBSERVED, Meter
from inference_svc.app.ports import AliasFacts, InferenceEngine, Registry, RevisionFacts
from inference_svc.app.quarantine import Quarantine
from inference_svc.app.quota_book import OneQuota
from inference_svc.app.signature_gate import SignatureGate
from inference_svc.domain.generation import Question, Sampling
from inference_svc.domain.quota import Quota
from inference_svc.domain.residency import ResidentState
from shared.adapter.canary import CanarySplit, RollbackReason
from shared.adapter.key_file import TrustedKeyFile
from shared.adapter.manifest import Canary
from shared.adapter.signature import read_signature
from shared.base_model import BaseModel
from shared.contracts.compiler import ContractCompiler
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import NotFound, Unavailable
from shared.names import AliasName, ContractName, RevisionName
from shared.prompt import PromptRenderer
from tests.adapter_file import write_random_package
from tests.unit.inference_svc.fake_engine import FakeEngine

RANK = 4
SPEC = ContractSpec(ContractKind.JSON, json_schema='{"enum":["yes","no","perhaps"]}')
CONTRACT = "tenants/acme/contracts/answer"
ADAPTER = "tenants/acme/adapters/answer"
QUESTION = Question(
    adapter="tenants/acme/adapters/answer",
    input="is it so?",
    instructions="",
    contract="",
    kind=ContractKind.JSON,
    sampling=Sampling(),
    deadline_seconds=30.0,
)
ALIAS = AliasName("acme", "answer", "live")


def revision(number: int) -> RevisionName:
    """A revision of the one adapter."""
    return RevisionName("acme", "answer", number)


class StoppedClock:
    """It is always noon."""

    def now(self) -> datetime:
        """The moment."""
        return datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass
class FakeRegistry:
    """Packages by revision."""

    packages: dict[RevisionName, Path] = field(default_factory=dict)
    digests: dict[RevisionName, str] = field(default_factory=dict)
    specs: dict[str, ContractSpec] = field(default_factory=lambda: {CONTRACT: SPEC})
    downloads: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    away: bool = False
    rollbacks: list[tuple[AliasName, CanarySplit, RollbackReason, str]] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    channel: None = None
    """It has no connection."""

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
            await asyncio.to_thread(shutil.copyfile, path, folder / path.name)

    async def signature(self, name: RevisionName) -> bytes | None:
        """That of the package, unless it is `away`."""
        if self.away:
            raise Unavailable("NOT_SERVING", "the registry is away")
        return read_signature(self.packages[name])

    async def watch_aliases(self) -> AsyncIterator[AliasFacts]:
        """Nothing happens."""
        await asyncio.Event().wait()
        yield AliasFacts(ALIAS, revision(1))

    async def roll_back_canary(
        self, alias: AliasName, split: CanarySplit, reason: RollbackReason, description: str
    ) -> None:
        """Notes it, unless it is `away`."""
        self.told.set()
        if self.away:
            raise Unavailable("NOT_SERVING", "the registry is away")
        self.rollbacks.append((alias, split, reason, description))

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
    spec: ContractSpec = SPEC
    instruction_tokens: int = 900
    output_tokens_saved: float = 0.0
    chance: Callable[[], float] = field(default_factory=lambda: random.Random(1).random)
    trusted_keys: TrustedKeyFile | None = None

    def __post_init__(self) -> None:
        self.renderer = PromptRenderer.load(self.base)
        self.engine = FakeEngine(self.folder / "contracts")
        self.asked = self.serving_engine()
        self.registry = FakeRegistry(specs={CONTRACT: self.spec})
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

    def serving_registry(self) -> Registry:
        """What the fleet follows."""
        return self.registry

    def new_fleet(self) -> Fleet:
        """A fleet as after a restart: same disk, nothing in memory."""
        loader = Loader(
            cache=AdapterCache(self.folder / "adapters", 1 << 30),
            base=self.base,
            prompt_digest=self.renderer.digest,
            max_rank=16,
            engine=self.asked,
            registry=self.serving_registry(),
            contracts=self.contracts,
            quarantine=Quarantine(self.folder / "quarantine.json", StoppedClock()),
            signatures=SignatureGate(self.trusted_keys, self.serving_registry()),
        )
        return Fleet(
            loader=loader,
            engine=self.asked,
            registry=self.serving_registry(),
            state_file=self.folder / "aliases.json",
            capacity=self.capacity,
            meter=self.meter,
            chance=self.chance,
        )

    def publish(
        self, number: int, *, canary: tuple[int, ...] = (), canaries: int = 1, prompt_digest: str = "",
        contract: str = CONTRACT,
    ) -> RevisionName:  # fmt: skip
        """Puts a revision with its own weights into the registry."""
        name, folder = revision(number), self.folder / f"package-{number}"
        self.registry.packages[name] = folder
        self.registry.digests[name] = write_random_package(
            self.base,
            folder,
            rank=RANK,
            seed=number,
            prompt_digest=prompt_digest or self.renderer.digest,
            contract=contract,
            spec=self.spec,
            canaries=(Canary((3, 4), canary),) * canaries if canary else (),
            instruction_tokens=self.instruction_tokens,
            output_tokens_saved=self.output_tokens_saved,
        )
        return name

    async def settle(self) -> None:
        """Waits until nothing is loaded, retired or saved any more that was asked for."""
        aliases, prefetch = self.fleet._aliases, self.fleet._prefetch
        await prefetch.done()
        while tasks := [*aliases._tasks.values(), *aliases._ending]:
            await asyncio.wait(tasks)
        await prefetch.done()
        await aliases._file.saved()

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


async def until(condition: Callable[[], bool]) -> None:
    """Lets time pass until it holds."""
    while not condition():  # noqa: ASYNC110  # time has to pass
        await asyncio.sleep(0.001)


@pytest.fixture
def replica(tiny_base: BaseModel, tmp_path: Path) -> Replica:
    """A replica with room for two adapters."""
    return Replica(tiny_base, tmp_path)
