"""A running engine and what tests ask of it."""

from __future__ import annotations

from dataclasses import dataclass

from inference_svc.app.ports import EngineCall
from inference_svc.domain.generation import Sampling
from inference_svc.domain.residency import AdapterKey
from inference_svc.engine.vllm_engine import VllmEngine
from shared.contracts.compiled import CompiledContract
from shared.prompt import PromptRenderer


@dataclass
class Bench:
    """A running engine with a contract of each kind and two adapters of random weights."""

    engine: VllmEngine
    renderer: PromptRenderer
    contracts: list[CompiledContract]
    adapters: list[AdapterKey | None]
    counter: int = 0

    def call(self, index: int, *, extra: int, temperature: float, stream: bool = False) -> EngineCall:
        """One request; contracts and adapters take turns."""
        self.counter += 1
        contract = self.contracts[index % len(self.contracts)]
        return EngineCall(
            request_id=f"request-{self.counter}",
            prompt_ids=self.renderer.prompt_ids(f"Invoice {index} from nobody"),
            contract_digest=contract.digest,
            max_tokens=contract.min_tokens + extra,
            sampling=Sampling(temperature=temperature, seed=index),
            adapter=self.adapters[index % len(self.adapters)],
            tenant="acme",
            stream=stream,
        )

    async def tokens(self, call: EngineCall) -> list[int]:
        """All tokens of one answer."""
        return [token async for chunk in self.engine.generate(call) for token in chunk.token_ids]

    async def greedy(self, count: int) -> list[tuple[int, ...]]:
        """Answers without chance: every contract under the base and each adapter, one after another."""
        calls = [self.call(index, extra=20, temperature=0.0) for index in range(count)]
        return [tuple(await self.tokens(call)) for call in calls]

    def assert_kept(self, index: int, call: EngineCall, tokens: list[int]) -> None:
        """The answer is complete within its budget and keeps its contract."""
        contract = self.contracts[index % len(self.contracts)]
        guide = contract.guide()
        assert all(guide.advance(token) for token in tokens)
        assert guide.is_finished()
        assert len(tokens) <= call.max_tokens
        assert contract.check(self.renderer.decode(tokens)) == ()
