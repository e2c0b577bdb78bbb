"""Real schemas with instances: what four systems take, lose and let through over a vocabulary of 131,072 tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.format_system import SYSTEMS, Judgement
from tests.bench.killable_worker import DIED, TIMED_OUT, KillableWorker
from tests.vocabularies import tekken_131k

Json = Any  # JSON values
Figures = dict[str, float | int | str]

SECONDS = {"goldsmith": 60.0, "outlines": 1.5, "xgrammar": 4.0, "llguidance": 10.0}
"""For compiling one schema and following its instances. Ours ends a compilation itself after four seconds of processor
time; where dozens of alternatives stay open, following an instance of a thousand tokens takes half a minute."""
EVERY = {"goldsmith": 1, "outlines": 5, "xgrammar": 5, "llguidance": 1}
"""Which schemas a system gets: two compile for seconds to minutes over so many tokens, all of them would take hours."""
MEMORY_BYTES = 6 * 1024**3


def load_cases(data: Path) -> list[dict[str, Json]]:
    """Rows of `name`, `schema`, `tests` (each `valid`, `data`)."""
    file = data / "json_schemas" / "maskbench_sample.jsonl"
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def measure(data: Path, every: int = 1, names: tuple[str, ...] = tuple(SYSTEMS)) -> tuple[Figures, list[str]]:
    """Figures of each system over every n-th schema, and a line for each schema of ours that is not fully right."""
    figures: Figures = {}
    notes: list[str] = []
    for name in names:
        cases = load_cases(data)[:: every * EVERY[name]]
        worker = KillableWorker(partial(_prepare, name), SECONDS[name], MEMORY_BYTES)
        answers = list(worker.map(cases))
        prefix = "" if name == "goldsmith" else f"{name}_"
        figures |= {prefix + key: value for key, value in _figures(cases, answers).items()}
        if name == "goldsmith":
            notes = [note for case, answer in zip(cases, answers, strict=True) if (note := _note(case, answer))]
    return figures, notes


def _prepare(name: str) -> Callable[[dict[str, Json]], Judgement]:
    system = SYSTEMS[name](tekken_131k())

    def judge(case: dict[str, Json]) -> Judgement:
        return system.judge(case["schema"], [test["data"] for test in case["tests"]])

    return judge


def _wrong(case: dict[str, Json], judgement: Judgement) -> tuple[bool, bool]:
    """Whether a valid instance was rejected, and whether an invalid one was accepted."""
    pairs = list(zip((test["valid"] for test in case["tests"]), judgement.accepted, strict=True))
    return (True, False) in pairs, (False, True) in pairs


def _figures(cases: list[dict[str, Json]], answers: list[Judgement | str]) -> Figures:
    judged = [(case, answer) for case, answer in zip(cases, answers, strict=True) if isinstance(answer, Judgement)]
    taken = [(case, answer) for case, answer in judged if not answer.refused]
    wrong = [_wrong(case, answer) for case, answer in taken]
    compile_ms = [answer.compile_seconds * 1e3 for _, answer in judged if not answer.refused] or [0.0]
    masks = [seconds * 1e6 for _, answer in taken for seconds in answer.mask_seconds] or [0.0]
    figures: Figures = {
        "schemas": len(cases),
        "fully_right_ratio": sum(not any(pair) for pair in wrong) / len(cases),
        "invalid_accepted": sum(accepted for _, accepted in wrong),
        "valid_rejected": sum(rejected for rejected, _ in wrong),
        "refused": len(judged) - len(taken) + answers.count(DIED),
        "timeouts": answers.count(TIMED_OUT),
        "certain_ratio": sum(answer.guarantee == "certain" for _, answer in taken) / max(len(taken), 1),
        "compile_p50_ms": float(np.median(compile_ms)),
        "compile_p99_ms": float(np.quantile(compile_ms, 0.99)),
        "mask_p50_us": float(np.median(masks)),
        "mask_p99_us": float(np.quantile(masks, 0.99)),
    }
    return figures


def _note(case: dict[str, Json], answer: Judgement | str) -> str:
    if isinstance(answer, str):
        return f"{case['name']}: {answer}"
    if answer.refused:
        return f"{case['name']}: refused, {answer.refused}"
    rejected, accepted = _wrong(case, answer)
    return (
        f"{case['name']}: {'rejects a valid' if rejected else 'accepts an invalid'} one" if rejected or accepted else ""
    )
