"""The matrix of who may call what, over TLS against both services: its cells, and those that are not as they should."""

from __future__ import annotations

from pathlib import Path

from shared.base_model import BaseModel
from tests.access.house import open_house
from tests.access.matrix import figures, run_all
from tests.bench.result import Figures, in_folder, report
from tests.conftest import write_tiny_base


def main() -> None:
    """Prints the figures and writes build/bench/authorisation.json."""
    report("authorisation", measure())


def measure() -> Figures:
    """Starts both services in this process, without vLLM and without training; takes seconds."""
    return in_folder(_measure)


async def _measure(folder: Path) -> Figures:
    write_tiny_base(folder)
    async with open_house(BaseModel.load(folder), folder) as house:
        return dict(figures(await run_all(house)))
