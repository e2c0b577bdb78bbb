"""Adapters that must never reach an engine: what becomes of each here, and what plain vLLM makes of it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from inference_svc.app.adapter_cache import AdapterCache
from inference_svc.app.contract_library import ContractLibrary
from inference_svc.app.loader import Loader
from inference_svc.app.ports import EngineCall
from inference_svc.app.quarantine import Quarantine
from inference_svc.domain.generation import Sampling
from inference_svc.domain.residency import AdapterKey, Resident, ResidentState
from inference_svc.engine.vllm_engine import VllmEngine
from shared.adapter.manifest import AdapterManifest
from shared.adapter.validate import TARGET_MODULES
from shared.base_model import BaseModel
from shared.clock import SystemClock
from shared.contracts.compiled import CompiledContract
from shared.contracts.compiler import ContractCompiler
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import DomainError
from shared.names import RevisionName
from shared.prompt import PromptRenderer
from tests.bad_adapters import CASES, RANK, BadAdapter, sound_tensors, write_bad
from tests.bench.contract import BASE
from tests.bench.engine import settings, start_engine
from tests.bench.result import report
from tests.unit.inference_svc.conftest import FakeRegistry

_SPEC = ContractSpec(ContractKind.JSON, json_schema='{"type":"array","items":{"type":"integer"},"minItems":12}')
_BYSTANDERS = 20
_TOKENS = 48


def main() -> None:
    """Prints the table and the figures, and writes build/bench/torture.json."""
    report("torture", measure())


def measure() -> dict[str, float | int | str]:
    """Two engines, one after the other: behind our loader, and as vLLM offers it."""
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as plain:
        found, changed = asyncio.run(_ours(Path(ours)))
        stock, stock_changed, deaths = asyncio.run(_plain(Path(plain)))
    table = Table("adapter", "Goldsmith", "plain vLLM", title="bad adapters")
    for name in CASES:
        table.add_row(name, found[name], stock[name])
    Console().print(table)
    return {
        "bad_adapters": len(CASES),
        "bad_adapters_accepted": sum(verdict == "accepted" for verdict in found.values()),
        "bystander_outputs_changed": changed,
        "engine_deaths": 0,  # an engine that dies ends `_ours` with an error
        "plain_vllm_accepted": sum(verdict.startswith("accepted") for verdict in stock.values()),
        "plain_vllm_bystander_outputs_changed": stock_changed,
        "plain_vllm_engine_deaths": deaths,
    }


async def _ours(folder: Path) -> tuple[dict[str, str], int]:
    base = BaseModel.load(BASE)
    compiler = ContractCompiler(folder / "contracts", base.vocabulary())
    contract, renderer = compiler.compile(_SPEC), PromptRenderer.load(base)
    engine, adapters = await start_engine(base, folder, threads=1)
    registry = FakeRegistry()
    (folder / "cache").mkdir()
    loader = Loader(
        cache=AdapterCache(folder / "cache", 1 << 40), base=base, prompt_digest=renderer.digest, max_rank=16,
        engine=engine, registry=registry, contracts=ContractLibrary(compiler, registry),
        quarantine=Quarantine(folder / "quarantine.json", SystemClock()),
    )  # fmt: skip
    await _greedy(engine, contract, renderer, adapters)  # prompts are in the prefix cache from now on
    before = await _greedy(engine, contract, renderer, adapters)
    found = {}
    for number, (name, case) in enumerate(CASES.items(), 1):
        resident = _packed(case, number, base, renderer, folder / "cache")
        try:
            await loader.load(resident, set())
            found[name] = "accepted"
        except DomainError as err:
            found[name] = f"{err.reason}: {err}"[:90]
    after = await _greedy(engine, contract, renderer, adapters)
    await engine.stop()
    return found, sum(a != b for a, b in zip(before, after, strict=True))


async def _plain(folder: Path) -> tuple[dict[str, str], int, int]:
    """Added as vLLM's own server adds adapters, tried again once, and asked if it took them."""
    base = BaseModel.load(BASE)
    contract = ContractCompiler(folder / "contracts", base.vocabulary()).compile(_SPEC)
    renderer = PromptRenderer.load(base)
    engine, adapters = await start_engine(base, folder, threads=1)
    await _greedy(engine, contract, renderer, adapters)
    before = await _greedy(engine, contract, renderer, adapters)
    found, deaths = {}, 0
    for number, (name, case) in enumerate(CASES.items(), 1):
        resident = _packed(case, number, base, renderer, folder)
        path = folder / resident.digest.removeprefix("sha256:")
        try:
            found[name] = await _add(engine._engine, f"bad-{number}", 10_000 + number, path)
        except Exception as err:  # whatever vLLM raises is its answer
            found[name] = f"refused: {str(err) or repr(err)}"[:90].splitlines()[0]
        if engine._engine.errored:
            deaths += 1
            found[name] = "the engine dies"
            await engine.stop()
            engine = VllmEngine(settings(base, folder, threads=1))
            await engine.start()
            for key in adapters:
                await engine.add_adapter(key)
    after = await _greedy(engine, contract, renderer, adapters)
    await engine.stop()
    return found, sum(a != b for a, b in zip(before, after, strict=True)), deaths


async def _add(vllm: Any, name: str, number: int, path: Path) -> str:  # vLLM's AsyncLLM
    from vllm import SamplingParams
    from vllm.lora.request import LoRARequest

    request, first = LoRARequest(lora_name=name, lora_int_id=number, lora_path=str(path)), ""
    try:
        await vllm.add_lora(request)
    except Exception:
        await vllm.add_lora(request)  # as a caller would who tries again
        first = " at the second try"
    sampling = SamplingParams(temperature=0.0, max_tokens=_TOKENS, ignore_eos=True)
    async for _ in vllm.generate({"prompt_token_ids": list(range(5, 60))}, sampling, name, lora_request=request):
        pass
    await vllm.remove_lora(number)
    return f"accepted{first}"


async def _greedy(
    engine: VllmEngine, contract: CompiledContract, renderer: PromptRenderer, adapters: list[AdapterKey]
) -> list[list[int]]:
    """Answers without chance, over the base model and each adapter."""
    keys = [None, *adapters]
    found = []
    for number in range(_BYSTANDERS):
        call = EngineCall(
            request_id=f"bystander-{id(found)}-{number}", prompt_ids=renderer.prompt_ids(f"row {number}"),
            contract_digest=contract.digest, max_tokens=contract.min_tokens + _TOKENS, sampling=Sampling(),
            adapter=keys[number % len(keys)], tenant="bench", stream=False,
        )  # fmt: skip
        found.append([token async for chunk in engine.generate(call) for token in chunk.token_ids])
    return found


def _ignore(before: ResidentState, seconds: float) -> None:
    """Nobody watches."""


def _packed(case: BadAdapter, number: int, base: BaseModel, renderer: PromptRenderer, folder: Path) -> Resident:
    """The revision of a case as if it had been fetched already."""
    manifest = AdapterManifest(
        base_model_id=base.model_id,
        base_model_digest=base.digest,
        prompt_digest=renderer.digest,
        contract_name="tenants/bench/contracts/answer",
        contract=_SPEC,
        rank=RANK,
        alpha=8.0,
        target_modules=TARGET_MODULES,
        dataset_digest=f"sha256:{number:064}",
        canaries=(),
    )
    written = write_bad(case, manifest, sound_tensors(base), folder / "new")
    (folder / "new").rename(folder / written.digest.removeprefix("sha256:"))
    shutil.rmtree(folder / "new.source")
    return Resident(RevisionName("bench", "bad", number), written.digest, _ignore, ResidentState.FETCHING)


if __name__ == "__main__":
    main()
