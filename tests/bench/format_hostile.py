"""What hostile contracts cost: seconds and memory of each compilation, under the default limits."""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

from shared.contracts.compiler import ContractCompiler
from shared.errors import InvalidInput
from tests.bench.killable_worker import KillableWorker
from tests.hostile import SPECS
from tests.vocabularies import shipped

_SECONDS = 60.0
_MEMORY_BYTES = 8 * 1024**3


def measure(data: Path) -> tuple[dict[str, float | int | str], list[str]]:
    """Figures over all of them, and a line for each; they need no data."""
    answers = []
    for name in SPECS:  # a process each: the system tells only the greatest memory of all children
        answers += list(KillableWorker(lambda: _compile, _SECONDS, _MEMORY_BYTES).map([name]))
    rows = [(name, *answer) for name, answer in zip(SPECS, answers, strict=True)]
    figures: dict[str, float | int | str] = {
        "hostile_items": len(rows),
        "hostile_compiled": sum(outcome == "compiled" for _, outcome, _, _ in rows),
        "hostile_max_seconds": max(seconds for _, _, seconds, _ in rows),
        "hostile_max_mib": max(mib for _, _, _, mib in rows),
    }
    return figures, [
        f"hostile {name}: {outcome} in {seconds:.1f} s, {mib:.0f} MiB" for name, outcome, seconds, mib in rows
    ]


def _compile(name: str) -> tuple[str, float, float]:
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        try:
            ContractCompiler(Path(folder), shipped()).compile(SPECS[name])
            outcome = "compiled"
        except InvalidInput as err:
            outcome = f"{err.reason} ({err.violations[0].path})"
        seconds = time.perf_counter() - begin
    return outcome, seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
