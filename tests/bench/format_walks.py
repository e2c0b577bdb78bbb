"""Random and hostile walks over real schemas in three vocabularies: nothing invalid, nothing cut off."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from shared.contracts.build import build_contract
from shared.contracts.compiler import CompileLimits
from shared.contracts.lower import lower
from shared.contracts.report import Guarantee
from shared.contracts.spec import ContractKind, ContractSpec, UndeclaredProperties
from shared.errors import InvalidInput
from tests.bench.format_schemas import load_cases
from tests.bench.killable_worker import KillableWorker
from tests.vocabularies import ALL
from tests.walk import POLICIES, walk

Json = Any  # JSON values
_EXTRAS = (0, 1, 4, 16, 64)
_SECONDS = 120.0
_MEMORY_BYTES = 6 * 1024**3


@dataclass
class Tally:
    """What walks over one schema came to."""

    walks: int = 0
    invalid: int = 0
    incomplete: int = 0
    incomplete_certain: int = 0
    for_a_retry: int = 0
    """Complete, but a keyword that only the check holds is broken: never served, tried again."""
    example: str = ""

    def add(self, other: Tally) -> None:
        """Sums."""
        for name in ("walks", "invalid", "incomplete", "incomplete_certain", "for_a_retry"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def measure(data: Path, every: int = 2) -> tuple[dict[str, float | int | str], list[str]]:
    """Figures over every n-th schema, each by every policy from its least budget up, and a line for each failure."""
    cases = load_cases(data)[::every]
    total, schemas, notes = Tally(), set(), []
    for name in ALL:
        worker = KillableWorker(partial(_prepare, name), _SECONDS, _MEMORY_BYTES)
        for case, tally in zip(cases, worker.map(cases), strict=True):
            if not isinstance(tally, Tally):
                notes.append(f"{name} {case['name']}: {tally}")
                continue
            total.add(tally)
            if tally.walks:
                schemas.add(case["name"])
            if tally.example:
                notes.append(f"{name} {case['name']}: {tally.example}")
    figures: dict[str, float | int | str] = {
        "walks": total.walks,
        "walk_schemas": len(schemas),
        "walks_invalid": total.invalid,
        "walks_incomplete_certain": total.incomplete_certain,
        "walks_incomplete": total.incomplete,
        "walks_for_a_retry": total.for_a_retry,
    }
    return figures, notes


def _prepare(name: str) -> Callable[[dict[str, Json]], Tally]:
    return partial(_walks, name)


def _walks(name: str, case: dict[str, Json]) -> Tally:
    """Each policy once, each with a budget of its own."""
    vocabulary, tally, rng = ALL[name](), Tally(), random.Random(case["name"])
    undeclared = rng.choice(list(UndeclaredProperties))
    spec = ContractSpec(ContractKind.JSON, json.dumps(case["schema"]), undeclared_properties=undeclared)
    try:
        contract = build_contract(spec, lower(spec), vocabulary, CompileLimits().max_states)
    except InvalidInput:
        return tally
    is_certain = contract.report.guarantee is Guarantee.CERTAIN
    for policy in POLICIES:
        budget = contract.min_tokens + rng.choice(_EXTRAS)
        data = walk(contract.guide(), budget, policy, rng, vocabulary)
        tally.walks += 1
        if data is None:
            tally.incomplete += 1
            tally.incomplete_certain += is_certain
            tally.example = f"{policy.__name__} does not end within {budget}"
            continue
        try:
            faults = contract.check(data.decode())
        except UnicodeDecodeError as err:
            tally.invalid += 1
            tally.example = str(err)
            continue
        if faults and is_certain:
            tally.invalid += 1
            tally.example = f"{policy.__name__}: {faults[0].path} {faults[0].description}: {data[:200]!r}"
        tally.for_a_retry += bool(faults) and not is_certain
    return tally
