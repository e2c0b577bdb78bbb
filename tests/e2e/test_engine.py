"""The guarantee inside a real vLLM engine: any weights, any sampling, any sufficient budget."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
import torch

from deploy.quickstart.invoices import SCHEMA
from deploy.quickstart.sales import DDL
from inference_svc.app.ports import EngineCall
from inference_svc.domain.generation import Sampling
from inference_svc.domain.residency import AdapterKey
from inference_svc.engine.vllm_engine import EngineSettings, VllmEngine
from shared.adapter.package import CONFIG_NAME, WEIGHTS_NAME
from shared.base_model import BaseModel
from shared.contracts.compiled import CompiledContract
from shared.contracts.compiler import ContractCompiler
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import InvalidInput, StateConflict
from shared.prompt import PromptRenderer
from tests.adapter_file import write_random_adapter
from tests.hostile import SPECS as HOSTILE

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own imports warn
]


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

    def assert_kept(self, index: int, call: EngineCall, tokens: list[int]) -> None:
        """The answer is complete within its budget and keeps its contract."""
        contract = self.contracts[index % len(self.contracts)]
        guide = contract.guide()
        assert all(guide.advance(token) for token in tokens)
        assert guide.is_finished()
        assert len(tokens) <= call.max_tokens
        assert contract.check(self.renderer.decode(tokens)) == ()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(shipped_base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    """One engine for the module: it takes half a minute to start."""
    folder = tmp_path_factory.mktemp("engine")
    compiler = ContractCompiler(folder / "contracts", shipped_base.vocabulary())
    specs = [
        ContractSpec(ContractKind.JSON, json_schema=json.dumps(SCHEMA)),
        ContractSpec(ContractKind.SQL, ddl=DDL),
        ContractSpec(ContractKind.CHOICE, choices=("billing", "bill", "refund", "two\nlines", "é😀")),
        ContractSpec(ContractKind.REGEX, pattern=r"[A-Z]{2}-\d{4}(?:, [A-Z]{2}-\d{4}){0,3}"),
        ContractSpec(ContractKind.TEXT, max_chars=60),
    ]
    engine = VllmEngine(
        EngineSettings(
            base_model_dir=shipped_base.folder,
            contract_dir=folder / "contracts",
            id_file=folder / "last_id",
            context_tokens=1024,
            threads=1,
            max_lora_rank=16,
            batch_adapters=2,
            resident_adapters=4,
            running_requests=32,
            kv_cache_gib=1,
        )
    )
    await engine.start()
    adapters = [write_random_adapter(shipped_base, folder / f"random-{seed}", seed) for seed in (1, 2)]
    for key in adapters:
        await engine.add_adapter(key)
    contracts = [compiler.compile(spec) for spec in specs]
    yield Bench(engine, PromptRenderer.load(shipped_base), contracts, [None, *adapters])
    await engine.stop()


class TestGuarantee:
    """Outputs under a contract."""

    @pytest.mark.parametrize("temperature", [0.0, 1.0])
    async def test_random_weights_keep_it(self, bench: Bench, temperature: float) -> None:
        """Base and wrecked adapters, every kind, budgets from the minimum up: each answer is valid and complete."""
        calls = [bench.call(i, extra=(0, 0, 1, 7, 64)[i // 5 % 5], temperature=temperature) for i in range(90)]

        answers = await asyncio.gather(*map(bench.tokens, calls))

        for index, (call, tokens) in enumerate(zip(calls, answers, strict=True)):
            bench.assert_kept(index, call, tokens)

    async def test_streams_keep_it(self, bench: Bench) -> None:
        """Streamed chunks join to a complete answer."""
        for index in range(15):
            call = bench.call(index, extra=20, temperature=1.0, stream=True)
            bench.assert_kept(index, call, await bench.tokens(call))

    async def test_hostile_contracts_disturb_nobody(
        self, bench: Bench, shipped_base: BaseModel, tmp_path: Path
    ) -> None:
        """Answers are complete while contracts that take all they may are compiled and refused beside them."""
        compiler = ContractCompiler(tmp_path, shipped_base.vocabulary())
        names = ("nested optional members", "crossing pattern properties", "exponential pattern", "choices")

        async def refused(name: str) -> bool:
            try:
                await asyncio.to_thread(compiler.compile, HOSTILE[name])
            except InvalidInput as err:
                return err.reason == "CONTRACT_TOO_LARGE"
            return False

        calls = [bench.call(i, extra=40, temperature=1.0) for i in range(60)]
        hostile = asyncio.gather(*map(refused, names))
        answers = await asyncio.gather(*map(bench.tokens, calls))

        for index, (call, tokens) in enumerate(zip(calls, answers, strict=True)):
            bench.assert_kept(index, call, tokens)
        assert sum(await hostile) >= 2

    async def test_adapters_change_the_answer(self, bench: Bench) -> None:
        """An adapter is applied: greedy answers differ from the base model's and from each other."""
        answers = []
        for adapter in bench.adapters:
            bench.counter += 1
            call = bench.call(0, extra=40, temperature=0.0)
            changed = EngineCall(**{**vars(call), "adapter": adapter, "request_id": f"which-{bench.counter}"})
            answers.append(tuple(await bench.tokens(changed)))

        assert len(set(answers)) == len(bench.adapters)


class TestAdapters:
    """Adapters coming and going."""

    async def test_bad_ones_are_refused_and_the_engine_lives(self, bench: Bench, tmp_path: Path) -> None:
        """A missing folder and a garbage file are errors of their own adapter, also when tried again."""
        (tmp_path / "garbage").mkdir()
        (tmp_path / "garbage" / CONFIG_NAME).write_text('{"peft_type":"LORA","r":16,"lora_alpha":32}')
        (tmp_path / "garbage" / WEIGHTS_NAME).write_bytes(b"\x00" * 100)
        for name in ("missing", "garbage"):
            for _ in range(2):
                with pytest.raises(StateConflict) as caught:
                    await bench.engine.add_adapter(AdapterKey(f"acme/{name}@0", str(tmp_path / name)))
                assert caught.value.reason == "ADAPTER_REJECTED"

        call = bench.call(0, extra=10, temperature=0.0)
        bench.assert_kept(0, call, await bench.tokens(call))

    async def test_come_and_go_while_others_answer(self, bench: Bench, shipped_base: BaseModel, tmp_path: Path) -> None:
        """Loading and removing an adapter disturbs no request that runs on another."""
        calls = [bench.call(i, extra=60, temperature=1.0) for i in range(30)]
        running = [asyncio.create_task(bench.tokens(call)) for call in calls]
        for seed in (11, 12, 13):
            key = write_random_adapter(shipped_base, tmp_path / f"guest-{seed}", seed)
            await bench.engine.add_adapter(key)
            await bench.engine.remove_adapter(key)

        for index, (call, task) in enumerate(zip(calls, running, strict=True)):
            bench.assert_kept(index, call, await task)

    async def test_an_abandoned_request_is_freed(self, bench: Bench) -> None:
        """Closing the iterator ends the request in the engine; more of them than it has places do not block it."""
        for index in range(40):
            call = bench.call(index, extra=60, temperature=1.0, stream=True)
            async with aclosing(bench.engine.generate(call)) as chunks:
                await anext(chunks)

        call = bench.call(0, extra=5, temperature=0.0)
        bench.assert_kept(0, call, await asyncio.wait_for(bench.tokens(call), 60))


class TestGroupedKernel:
    """The grouped LoRA kernel against vLLM's stock one."""

    @pytest.mark.parametrize("rank", [8, 16, 64])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    async def test_equals_the_stock_operations(self, rank: int, dtype: torch.dtype) -> None:
        """Same result for mixed batches, rows without an adapter, and adapters in any order."""
        from vllm.lora.ops.torch_ops import bgmv_expand_slice, bgmv_shrink

        from inference_svc.engine.lora_kernel import GroupedPunicaWrapper, group_rows

        torch.manual_seed(0)
        slots = torch.tensor([1, -1, 0, 1, 1, 2, -1, 0, 0])
        x = torch.randn(len(slots), 48).to(dtype)
        a, b = torch.randn(3, 1, rank, 48).to(dtype), torch.randn(3, 1, 32, rank).to(dtype)
        wrapper = GroupedPunicaWrapper.__new__(GroupedPunicaWrapper)
        wrapper._groups = group_rows(slots)
        ours, theirs = torch.zeros(len(slots), rank), torch.zeros(len(slots), rank)
        wrapper._apply_shrink(ours, x, a, 0.5)
        active = slots >= 0
        shrunk = torch.zeros(int(active.sum()), rank)
        bgmv_shrink(x[active], a, shrunk, slots[active], 0.5)
        theirs[active] = shrunk
        out_ours, out_theirs = torch.zeros(len(slots), 40).to(dtype), torch.zeros(len(slots), 40).to(dtype)
        wrapper._apply_expand(out_ours, theirs, b, 4, 32)
        expanded = out_theirs[active]
        bgmv_expand_slice(theirs[active], b, expanded, slots[active], 4, 32)
        out_theirs[active] = expanded

        torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=2e-2)
        torch.testing.assert_close(out_ours, out_theirs, rtol=2e-2, atol=2e-2)
