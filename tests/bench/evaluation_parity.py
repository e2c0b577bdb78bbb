"""`python -m tests.bench.evaluation_parity`: what is served, against what the trainer's evaluation has, by tokens.

Two real sets are trained on and served; a row counts as equal where all tokens of its greedy answer are. What was
trained lies in build/bench/parity and is not trained again. Differences go to build/bench/parity_differences.json.
The engine's own choice of type is measured, with the evaluation that the job stored, and float32, with what the same
adapter's evaluation answers there.
"""

from __future__ import annotations

import dataclasses
import json
import random
import tempfile
import time
from pathlib import Path

from deploy.quickstart.tenant import DemoTenant
from shared.base_model import BaseModel
from shared.contracts.compiled import CompiledContract
from shared.contracts.compiler import ContractCompiler
from shared.prompt import PromptRenderer
from tests.bench.gate_set import DATA
from tests.bench.parity_difference import Asked, Judge
from tests.bench.parity_house import Served, Trained, material, open_inference, open_trainer
from tests.bench.recorded_inference import TokenIds
from tests.bench.result import FOLDER, Figures, keep, report
from tests.bench.train_material import BASE
from trainer_svc.domain.run import ServedType
from trainer_svc.engine.served import Server

_FOLDER = FOLDER / "parity"
_DIFFERENCES = FOLDER / "parity_differences.json"
_PARALLEL_REQUESTS = 16


@dataclasses.dataclass(frozen=True)
class Adapter:
    """Of one tenant, with the rows held out and the tokens that its evaluation stored."""

    tenant: DemoTenant
    package: Path
    contract: CompiledContract
    rows: tuple[tuple[str, TokenIds, TokenIds], ...]
    """Input, prompt and answer."""


@dataclasses.dataclass(frozen=True)
class Answers:
    """Tokens by prompt."""

    expected: dict[TokenIds, TokenIds]
    """Of the evaluation."""
    traffic: dict[TokenIds, TokenIds]
    """Served while others are, too."""
    alone: dict[TokenIds, TokenIds]
    """Served one after another where `traffic` is not as expected; as in `traffic` elsewhere."""
    traffic_seconds: float


def measure() -> Figures:
    """`parity_ratio` is the share of rows served as they were evaluated, in traffic, in the engine's own type."""
    try:
        tenants = material(DATA)
    except FileNotFoundError as err:
        return {"parity_skipped": f"no real data: {err.filename}"}
    base = BaseModel.load(BASE)
    figures: Figures = {}
    told: list[dict[str, object]] = []
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with open_trainer(_FOLDER) as trainer, tempfile.TemporaryDirectory() as cache:
        compiler = ContractCompiler(Path(cache), base.vocabulary())
        adapters = [_adapter(base, compiler, trainer, tenant) for tenant in tenants]
        for served_type in (ServedType.AUTO, ServedType.FLOAT32):
            expected = _evaluated(base, adapters, served_type)
            with open_inference(_FOLDER, trainer.address, served_type) as served:
                for tenant in tenants:
                    served.wait_live(tenant)
                answers = _ask(served, adapters, expected)
            found, differences = _compare(base, adapters, answers, served_type)
            figures, told = figures | found, told + differences
            _DIFFERENCES.write_text(json.dumps(told, indent=1) + "\n")
            keep("evaluation_parity", figures)
    return figures


def _adapter(base: BaseModel, compiler: ContractCompiler, trainer: Trained, tenant: DemoTenant) -> Adapter:
    package, renderer = trainer.train(tenant), PromptRenderer.load(base)
    rows = tuple((text, tuple(renderer.prompt_ids(text)), answer) for text, answer in trainer.evaluated(tenant))
    return Adapter(tenant, package, compiler.compile(tenant.spec), rows)


def _evaluated(base: BaseModel, adapters: list[Adapter], served_type: ServedType) -> dict[TokenIds, TokenIds]:
    """By prompt: as stored, or as the same evaluation would have it in another type than the trainer was told."""
    if served_type is ServedType.AUTO:
        return {prompt: answer for adapter in adapters for _, prompt, answer in adapter.rows}
    found: dict[TokenIds, TokenIds] = {}
    for adapter in adapters:
        server = Server(base, PromptRenderer.load(base), adapter.contract, lambda: None, served_type)
        prompts = [prompt for _, prompt, _ in adapter.rows]
        answers = server.answer(server.load(adapter.package), prompts)
        found |= dict(zip(prompts, map(tuple, answers), strict=True))
    return found


def _ask(served: Served, adapters: list[Adapter], expected: dict[TokenIds, TokenIds]) -> Answers:
    rows = [(adapter.tenant, text, prompt) for adapter in adapters for text, prompt, _ in adapter.rows]
    random.Random(0).shuffle(rows)  # adapters mix in the engine's steps
    begin = time.perf_counter()
    traffic = served.ask([(tenant, text) for tenant, text, _ in rows], _PARALLEL_REQUESTS)
    seconds = time.perf_counter() - begin
    differing = [(tenant, text) for tenant, text, prompt in rows if traffic[prompt] != expected[prompt]]
    alone = served.ask(differing, 1)
    return Answers(expected, traffic, traffic | alone, seconds)


def _compare(
    base: BaseModel, adapters: list[Adapter], answers: Answers, served_type: ServedType
) -> tuple[Figures, list[dict[str, object]]]:
    """The figures, and every difference with what explains it."""
    prefix = "parity" if served_type is ServedType.AUTO else f"parity_{served_type}"
    figures: Figures = {}
    told: list[dict[str, object]] = []
    for adapter in adapters:
        asked = [Asked(prompt, answers.expected[prompt], answers.traffic[prompt]) for _, prompt, _ in adapter.rows]
        judge = Judge(base, adapter.package, adapter.contract, served_type)
        noise = judge.noise(asked)
        found = [(row, judge.difference(row)) for row in asked if not row.is_equal]
        told += [
            {"type": str(served_type), "set": adapter.tenant.id, "noise": noise, "is_tie": difference.is_tie(noise)}
            | {"is_equal_alone": answers.alone[row.prompt] == row.evaluated, **dataclasses.asdict(difference)}
            for row, difference in found
        ]
        own = f"{prefix}_{adapter.tenant.id}"
        figures |= {
            f"{own}_rows": len(asked),
            f"{own}_ratio": 1 - len(found) / len(asked),
            f"{own}_alone_ratio": sum(answers.alone[row.prompt] == row.evaluated for row in asked) / len(asked),
            f"{own}_noise": noise,
            f"{own}_unexplained": sum(not difference.is_tie(noise) for _, difference in found),
        }
    count = len(answers.expected)
    return figures | {
        f"{prefix}_ratio": sum(answers.traffic[p] == answers.expected[p] for p in answers.expected) / count,
        f"{prefix}_alone_ratio": sum(answers.alone[p] == answers.expected[p] for p in answers.expected) / count,
        f"{prefix}_traffic_seconds": answers.traffic_seconds,
    }, told


def main() -> None:
    """Entry point."""
    report("evaluation_parity", measure())


if __name__ == "__main__":
    main()
