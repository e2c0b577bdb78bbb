"""Prints a benchmark's figures and keeps them for machines."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

Figures = dict[str, float | int | str]
FOLDER = Path(__file__).parents[2] / "build" / "bench"


def in_folder(measure: Callable[[Path], Coroutine[None, None, Figures]]) -> Figures:
    """What a benchmark measures in a folder of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure(Path(folder)))


def report(name: str, figures: Mapping[str, float | int | str]) -> None:
    """One table on screen, flat keys in build/bench/NAME.json."""
    table = Table("figure", "value", title=name)
    for key, value in figures.items():
        table.add_row(key, f"{value:.4g}" if isinstance(value, float) else str(value))
    Console().print(table)
    keep(name, figures)


def keep(name: str, figures: Mapping[str, float | int | str]) -> None:
    """Writes build/bench/NAME.json; long benchmarks do it after each part."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n")


def run_parts(name: str, parts: Sequence[Callable[[], Figures]]) -> None:
    """Prints each part's figures; build/bench/NAME.json has them all, and is written after each part."""
    figures: Figures = {}
    for measure in parts:
        found = measure()
        report(measure.__module__.rpartition(".")[2], found)
        figures |= found
        keep(name, figures)
