"""A trained adapter, exported and merged: the same greedy answers from vLLM and transformers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from inference_svc.app.ports import EngineCall
from inference_svc.domain.generation import Sampling
from inference_svc.domain.residency import AdapterKey
from inference_svc.engine.vllm_engine import VllmEngine
from shared.base_model import BaseModel
from shared.contracts.compiled import CompiledContract
from shared.contracts.compiler import ContractCompiler
from tests.e2e.engine.bench import Bench
from tests.e2e.training_sample import CONTRACT, rows, run_here, write_run
from tests.operator_key import OperatorKey
from trainer_svc.domain.run import TrainingMode
from trainer_svc.engine.base import compute_dtype, load_base
from trainer_svc.engine.decoding import Constrained
from trainer_svc.engine.export import load_served
from trainer_svc.engine.generation import generate
from trainer_svc.engine.merge import MergeBase, merge_adapter

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own imports warn
]

_CONTEXT, _COUNT = 1024, 24


@pytest.fixture(scope="module")
def package(shipped_base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that QLoRA trained to name another city than the input's, which the base alone would copy."""
    train = [replace(row, output=_elsewhere(row.output)) for row in rows(96)]
    folder = write_run(
        tmp_path_factory.mktemp("runs") / "run", shipped_base, train, mode=TrainingMode.QLORA, epoch_count=8
    )
    run_here(folder)
    OperatorKey(1).sign(folder.package)  # as it is published and exported
    return folder.package


def _elsewhere(output: str) -> str:
    cities = ("Rome", "Oslo", "Lima", "Rome")
    city = next(city for city in cities if city in output)
    return output.replace(city, cities[cities.index(city) + 1])


class TestMergedModel:
    """Both ways to merge one adapter."""

    async def test_answers_as_base_and_adapter_do(
        self, bench: Bench, shipped_base: BaseModel, package: Path, tmp_path: Path
    ) -> None:
        """Merged into the original base: vLLM with it alone, transformers with it, and vLLM with base and adapter."""
        merge_adapter(package, shipped_base, tmp_path / "merged")
        contract = _contract(bench, shipped_base)
        key = AdapterKey("acme/merged@0", str(package))
        await bench.engine.add_adapter(key)
        expected = await _answers(bench.engine, bench, contract, key)
        await bench.engine.remove_adapter(key)
        alone = await _answers(bench.engine, bench, contract, None)

        async with _engine(bench, tmp_path / "merged") as engine:
            served = await _answers(engine, bench, contract, None)

        assert served == expected
        assert not any(one == other for one, other in zip(alone, expected, strict=True))
        assert _generated(bench, tmp_path / "merged", contract) == expected

    async def test_onto_the_dequantized_base_answers_as_the_training_did(
        self, bench: Bench, shipped_base: BaseModel, package: Path, tmp_path: Path
    ) -> None:
        """VLLM with it alone, and the 4-bit base under the adapter."""
        merge_adapter(package, shipped_base, tmp_path / "merged", onto=MergeBase.DEQUANTIZED)
        contract = _contract(bench, shipped_base)
        trained = load_served(load_base(shipped_base.folder, TrainingMode.QLORA), package)
        expected = generate(trained, Constrained(contract), _prompts(bench), _CONTEXT, output_tokens=_limit(contract))

        async with _engine(bench, tmp_path / "merged") as engine:
            served = await _answers(engine, bench, contract, None)

        assert served == expected


def _contract(bench: Bench, base: BaseModel) -> CompiledContract:
    return ContractCompiler(bench.engine._settings.contract_dir, base.vocabulary()).compile(CONTRACT)


def _limit(contract: CompiledContract) -> int:
    return contract.min_tokens + 20


def _prompts(bench: Bench) -> list[list[int]]:
    return [list(bench.renderer.prompt_ids(row.input)) for row in rows(96)[-_COUNT:]]


@asynccontextmanager
async def _engine(bench: Bench, model: Path) -> AsyncIterator[VllmEngine]:
    """One of its own, which knows the merged model and no adapter."""
    engine = VllmEngine(replace(bench.engine._settings, base_model_dir=model, id_file=model.with_name("last_id")))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


async def _answers(
    engine: VllmEngine, bench: Bench, contract: CompiledContract, adapter: AdapterKey | None
) -> list[list[int]]:
    answers = []
    for number, prompt in enumerate(_prompts(bench)):
        call = EngineCall(
            request_id=f"merged-{number}", prompt_ids=prompt, contract_digest=contract.digest,
            max_tokens=_limit(contract), sampling=Sampling(), adapter=adapter, tenant="acme", stream=False,
        )  # fmt: skip
        answers.append([token async for chunk in engine.generate(call) for token in chunk.token_ids])
    return answers


def _generated(bench: Bench, model: Path, contract: CompiledContract) -> list[list[int]]:
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=compute_dtype(), local_files_only=True).eval()
    return generate(loaded, Constrained(contract), _prompts(bench), _CONTEXT, output_tokens=_limit(contract))
