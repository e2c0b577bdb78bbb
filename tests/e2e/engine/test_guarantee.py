"""The guarantee inside a real vLLM engine: any weights, any sampling, any sufficient budget."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from inference_svc.app.ports import EngineCall
from shared.base_model import BaseModel
from shared.contracts.compiler import ContractCompiler
from shared.errors import InvalidInput
from tests.e2e.engine.bench import Bench
from tests.hostile import SPECS as HOSTILE

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own imports warn
]


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
        """Answers are complete while contracts that take all they may are compiled or refused beside them."""
        compiler = ContractCompiler(tmp_path, shipped_base.vocabulary())
        names = ("nested optional members", "crossing pattern properties", "exponential pattern", "choices")

        async def outcome(name: str) -> str:
            try:
                await asyncio.to_thread(compiler.compile, HOSTILE[name])
            except InvalidInput as err:
                return err.reason
            return "compiled"  # a fast machine does in its seconds what a slow one refuses

        calls = [bench.call(i, extra=40, temperature=1.0) for i in range(60)]
        hostile = asyncio.gather(*map(outcome, names))
        answers = await asyncio.gather(*map(bench.tokens, calls))

        for index, (call, tokens) in enumerate(zip(calls, answers, strict=True)):
            bench.assert_kept(index, call, tokens)
        assert set(await hostile) <= {"compiled", "CONTRACT_TOO_LARGE"}

    async def test_adapters_change_the_answer(self, bench: Bench) -> None:
        """An adapter is applied: greedy answers differ from the base model's and from each other."""
        answers = []
        for adapter in bench.adapters:
            bench.counter += 1
            call = bench.call(0, extra=40, temperature=0.0)
            changed = EngineCall(**{**vars(call), "adapter": adapter, "request_id": f"which-{bench.counter}"})
            answers.append(tuple(await bench.tokens(changed)))

        assert len(set(answers)) == len(bench.adapters)
