"""Requests of others, whose greedy answers must not change whatever is done to the engine beside them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from inference_svc.app.ports import EngineCall, NonFinite
from inference_svc.domain.generation import Sampling
from inference_svc.domain.residency import AdapterKey
from inference_svc.engine.vllm_engine import VllmEngine
from shared.base_model import BaseModel
from shared.contracts.compiled import CompiledContract
from shared.contracts.compiler import ContractCompiler
from shared.contracts.spec import ContractKind, ContractSpec
from shared.prompt import PromptRenderer
from tests.adapter_file import write_random_adapter
from tests.bench.engine import settings

SPEC = ContractSpec(ContractKind.JSON, json_schema='{"type":"array","items":{"type":"integer"},"minItems":12}')
_COUNT, _TOKENS, _ADAPTERS = 20, 48, 4
_CACHE_BLOCKS = 300
"""So few that the requests of one bad adapter write to each of them."""


@dataclass
class Bystanders:
    """An engine with sound adapters of its own, and what they answered before anything happened."""

    base: BaseModel
    folder: Path
    compiler: ContractCompiler
    renderer: PromptRenderer
    contract: CompiledContract
    engine: VllmEngine
    keys: list[AdapterKey | None]
    before: list[list[int]] = field(default_factory=list)
    deaths: int = 0
    _ids: itertools.count[int] = field(default_factory=itertools.count)

    @classmethod
    async def start(cls, base: BaseModel, folder: Path, *, finite_guard: bool) -> Self:
        """A small KV cache, and every bystander asked twice: sums are rounded alike once prompts are cached."""
        compiler = ContractCompiler(folder / "contracts", base.vocabulary())
        engine = VllmEngine(
            settings(base, folder, threads=1, resident_adapters=8, kv_cache_blocks=_CACHE_BLOCKS,
                     finite_guard=finite_guard)
        )  # fmt: skip
        keys = [write_random_adapter(base, folder / f"sound-{seed}", seed) for seed in range(_ADAPTERS)]
        found = cls(
            base, folder, compiler, PromptRenderer.load(base), compiler.compile(SPEC), engine, [None, *keys]
        )  # fmt: skip
        await found._start()
        await found.greedy()
        found.before = await found.greedy()
        return found

    async def _start(self) -> None:
        await self.engine.start()
        for key in self.keys:
            if key is not None:
                await self.engine.add_adapter(key)

    async def revive(self) -> bool:
        """Starts a dead engine again; whether it was dead. Its cache is cold then."""
        if not self.engine._engine.errored:
            return False
        self.deaths += 1
        await self.engine.stop()
        await self._start()
        await self.greedy()
        return True

    def call(self, adapter: AdapterKey | None, text: str, extra_tokens: int = _TOKENS) -> EngineCall:
        """A greedy request, with so many tokens more than the shortest answer has."""
        return EngineCall(
            request_id=f"request-{next(self._ids)}", prompt_ids=self.renderer.prompt_ids(text),
            contract_digest=self.contract.digest, max_tokens=self.contract.min_tokens + extra_tokens,
            sampling=Sampling(), adapter=adapter, tenant="bench", stream=False,
        )  # fmt: skip

    async def ask(self, adapter: AdapterKey | None, text: str, extra_tokens: int = _TOKENS) -> list[int] | None:
        """Its tokens; None when the engine computed no numbers."""
        chunks = self.engine.generate(self.call(adapter, text, extra_tokens))
        try:
            return [token async for chunk in chunks for token in chunk.token_ids]
        except NonFinite:
            return None

    async def greedy(self) -> list[list[int]]:
        """Answers of all bystanders, one after another, over the base model and each sound adapter."""
        found = []
        for number in range(_COUNT):
            tokens = await self.ask(self.keys[number % len(self.keys)], f"row {number}")
            assert tokens is not None, "a bystander was ended"
            found.append(tokens)
        return found

    async def changed(self) -> int:
        """Bystanders that are answered otherwise than before."""
        return sum(a != b for a, b in zip(self.before, await self.greedy(), strict=True))
