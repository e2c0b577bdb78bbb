"""The guarantee inside vLLM: many contracts, adapters of random weights, budgets from the least up."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.quickstart.invoices import SCHEMA
from deploy.quickstart.sales import DDL
from inference_svc.app.ports import EngineCall
from inference_svc.domain.generation import Sampling
from inference_svc.domain.residency import AdapterKey
from inference_svc.engine.vllm_engine import VllmEngine
from shared.base_model import BaseModel
from shared.contracts.compiled import CompiledContract
from shared.contracts.compiler import ContractCompiler
from shared.contracts.report import Guarantee
from shared.contracts.spec import ContractKind, ContractSpec, SqlProfile, UndeclaredProperties
from shared.errors import InvalidInput
from shared.prompt import PromptRenderer
from tests.bench.contract import BASE
from tests.bench.engine import RUNNING, start_engine
from tests.bench.format_schemas import load_cases

Figures = dict[str, float | int | str]
_REQUESTS = 2_000
_EXTRA_TOKENS = 64
_MAX_LEAST_TOKENS = 300
_EVERY = 14
"""Of the real schemas: about 48."""


@dataclass
class Engine:
    """A running engine with contracts and adapters."""

    engine: VllmEngine
    renderer: PromptRenderer
    contracts: list[CompiledContract]
    adapters: list[AdapterKey | None]


def measure(data: Path, requests: int = _REQUESTS) -> tuple[Figures, list[str]]:
    """Figures of all requests, and a line for each failure."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder), data, requests))


def specs(data: Path) -> list[ContractSpec]:
    """Contracts of every kind, and some of the real schemas with either way to treat undeclared properties."""
    found = [
        ContractSpec(ContractKind.JSON, json_schema=json.dumps(SCHEMA)),
        ContractSpec(ContractKind.SQL, ddl=DDL),
        ContractSpec(ContractKind.SQL, ddl=DDL, profile=SqlProfile.NESTED),
        ContractSpec(ContractKind.CHOICE, choices=("billing", "bill", "refund", "two\nlines", "é😀")),
        ContractSpec(ContractKind.REGEX, pattern=r"[A-Z]{2}-\d{4}(?:, [A-Z]{2}-\d{4}){0,3}"),
        ContractSpec(ContractKind.TEXT, max_chars=60),
    ]
    rng = random.Random(0)
    for case in load_cases(data)[::_EVERY]:
        undeclared = rng.choice(list(UndeclaredProperties))
        found.append(ContractSpec(ContractKind.JSON, json.dumps(case["schema"]), undeclared_properties=undeclared))
    return found


async def _measure(folder: Path, data: Path, requests: int) -> tuple[Figures, list[str]]:
    base = BaseModel.load(BASE)
    compiler = ContractCompiler(folder / "contracts", base.vocabulary())
    contracts = [contract for spec in specs(data) if (contract := _compiled(compiler, spec))]
    engine, adapters = await start_engine(base, folder, threads=1)
    bench = Engine(engine, PromptRenderer.load(base), contracts, [None, *adapters])
    places = asyncio.Semaphore(2 * RUNNING)
    outcomes = await asyncio.gather(*(_outcome(bench, number, places) for number in range(requests)))
    await engine.stop()
    certain = [number for number in range(requests) if _contract(bench, number).report.guarantee is Guarantee.CERTAIN]
    figures: Figures = {
        "engine_contracts": len(contracts),
        "engine_requests": requests,
        "engine_invalid": sum(outcome.startswith("invalid") for outcome in outcomes),
        "engine_incomplete_certain": sum(outcomes[number].startswith("incomplete") for number in certain),
        "engine_for_a_retry": sum(outcome.startswith("retry") for outcome in outcomes),
    }
    return figures, [outcome for outcome in outcomes if outcome and not outcome.startswith("retry")]


def _compiled(compiler: ContractCompiler, spec: ContractSpec) -> CompiledContract | None:
    try:
        contract = compiler.compile(spec)
    except InvalidInput:
        return None
    return contract if contract.min_tokens <= _MAX_LEAST_TOKENS else None


def _contract(bench: Engine, number: int) -> CompiledContract:
    return bench.contracts[number % len(bench.contracts)]


async def _outcome(bench: Engine, number: int, places: asyncio.Semaphore) -> str:
    """What is wrong with one answer; empty when nothing is."""
    contract, rng = _contract(bench, number), random.Random(number)
    call = EngineCall(
        request_id=f"format-{number}",
        prompt_ids=bench.renderer.prompt_ids(f"Invoice {number} from nobody"),
        contract_digest=contract.digest,
        max_tokens=contract.min_tokens + rng.randint(0, _EXTRA_TOKENS),
        sampling=Sampling(temperature=float(number % 2), seed=number),
        adapter=rng.choice(bench.adapters),
        tenant="bench",
        stream=False,
    )
    async with places:
        tokens = [token async for chunk in bench.engine.generate(call) for token in chunk.token_ids]
    guide = contract.guide()
    if not all(guide.advance(token) for token in tokens) or not guide.is_finished():
        return f"incomplete: {contract.spec.kind} {contract.spec.json_schema[:80]} within {call.max_tokens}"
    faults = contract.check(bench.renderer.decode(tokens))
    if not faults:
        return ""
    is_certain = contract.report.guarantee is Guarantee.CERTAIN
    return f"{'invalid' if is_certain else 'retry'}: {faults[0].path} {faults[0].description}"
