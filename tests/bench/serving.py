"""What guarantee and adapters cost inside vLLM: token throughput at batch 32, each against another in one run."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path

from inference_svc.app.ports import EngineCall
from inference_svc.domain.generation import Sampling
from inference_svc.domain.residency import AdapterKey
from inference_svc.engine.vllm_engine import VllmEngine
from shared.base_model import BaseModel
from shared.contracts.compiled import CompiledContract
from shared.contracts.compiler import ContractCompiler
from shared.contracts.spec import ContractKind, ContractSpec
from shared.prompt import PromptRenderer
from tests.bench.contract import BASE
from tests.bench.engine import RUNNING, start_engine
from tests.bench.result import report

_BATCH = RUNNING
_TOKENS = 64
_ROUNDS = 31
"""A round takes a second, and single ones differ by five per cent: as many as that for a median within one."""
_OTHER_ROUNDS = 5
# Longer than the budget can hold, so that every request decodes for the same number of steps.
_LIST = {"type": "array", "items": {"type": "integer"}, "minItems": 20, "maxItems": 200}
_SCHEMAS = {
    "contract": _LIST,  # an automaton
    "recursive_contract": _LIST | {"items": {"anyOf": [{"type": "integer"}, {"$ref": "#"}]}},  # a grammar
}


def main() -> None:
    """Prints the figures and writes build/bench/serving.json."""
    report("serving", measure())


def measure() -> dict[str, float | int | str]:
    """Starts one engine and measures the base with and without a contract, and adapters with it, round by round."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> dict[str, float | int | str]:
    base = BaseModel.load(BASE)
    compiler = ContractCompiler(folder / "contracts", base.vocabulary())
    contracts = {
        name: compiler.compile(ContractSpec(ContractKind.JSON, json.dumps(schema))) for name, schema in _SCHEMAS.items()
    }
    engine, adapters = await start_engine(base, folder, threads=2)
    prompt = PromptRenderer.load(base).prompt_ids("some words of a usual length for an input of this kind")
    kinds: dict[str, tuple[str, list[AdapterKey | None]]] = {
        "base": ("contract", [None]),
        "recursive": ("recursive_contract", [None]),
        "one_adapter": ("contract", [*adapters[:1]]),
        "four_adapters": ("contract", [*adapters]),
    }
    speeds: dict[str, list[float]] = {"unconstrained": [], **{kind: [] for kind in kinds}}
    for number in range(_ROUNDS + 1):
        # In turns the first of a round: whoever comes second finds the machine as the other left it.
        order = ["unconstrained", *kinds] if number % 2 else [*kinds, "unconstrained"]
        for kind in order:
            if kind == "unconstrained":
                speed = await _unconstrained(engine, prompt, number)
            elif kind == "base" or number <= _OTHER_ROUNDS:
                name, keys = kinds[kind]
                speed = await _constrained(engine, contracts[name], prompt, keys, f"{number}-{kind}")
            else:
                continue
            if number:  # the first round warms kernels and caches
                speeds[kind].append(speed)
    await engine.stop()
    medians = {kind: statistics.median(values) for kind, values in speeds.items()}
    return {
        "batch": _BATCH,
        "unconstrained_tokens_per_s": medians["unconstrained"],
        "contract_over_unconstrained": _ratio(speeds, "base", "unconstrained"),
        "recursive_contract_over_unconstrained": _ratio(speeds, "recursive", "unconstrained"),
        "one_adapter_over_base": _ratio(speeds, "one_adapter", "base"),
        "four_adapters_over_base": _ratio(speeds, "four_adapters", "base"),
    }


def _ratio(speeds: dict[str, list[float]], kind: str, other: str) -> float:
    """Median of the ratios round by round, as far as both were measured: both sides saw the same machine."""
    return statistics.median(a / b for a, b in zip(speeds[kind], speeds[other], strict=False))


async def _unconstrained(engine: VllmEngine, prompt: list[int], number: int) -> float:
    """Tokens a second of the engine itself, without structured output: the denominator only, never served."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    async def one(index: int) -> int:
        sampling = SamplingParams(
            temperature=1.0, seed=index, max_tokens=_TOKENS, ignore_eos=True, detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )  # fmt: skip
        count = 0
        async for output in engine._engine.generate({"prompt_token_ids": prompt}, sampling, f"free-{number}-{index}"):
            count = len(output.outputs[0].token_ids)
        return count

    return await _tokens_per_second([one(index) for index in range(_BATCH)])


async def _constrained(
    engine: VllmEngine, contract: CompiledContract, prompt: list[int], keys: list[AdapterKey | None], label: str
) -> float:
    async def one(index: int) -> int:
        call = EngineCall(
            request_id=f"{label}-{index}",
            prompt_ids=prompt,
            contract_digest=contract.digest,
            max_tokens=max(_TOKENS, contract.min_tokens),
            sampling=Sampling(temperature=1.0, seed=index),
            adapter=keys[index % len(keys)],
            tenant="bench",
            stream=False,
        )
        return sum([len(chunk.token_ids) async for chunk in engine.generate(call)])

    return await _tokens_per_second([one(index) for index in range(_BATCH)])


async def _tokens_per_second(requests: list[Coroutine[None, None, int]]) -> float:
    begin = time.perf_counter()
    counts = await asyncio.gather(*requests)
    return sum(counts) / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
