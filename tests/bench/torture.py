"""Adapters that must never reach an engine: what becomes of each here, and what plain vLLM makes of it."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shared.base_model import BaseModel
from tests.bench import torture_ours, torture_plain
from tests.bench.contract import BASE
from tests.bench.result import report
from tests.bench.torture_ours import VANISHED


def main() -> None:
    """Prints the table and the figures, and writes build/bench/torture.json."""
    report("torture", measure())


def measure() -> dict[str, float | int | str]:
    """Two engines, one after the other: behind our checks and guards, and as vLLM offers it."""
    base = BaseModel.load(BASE)
    with tempfile.TemporaryDirectory() as here, tempfile.TemporaryDirectory() as there:
        ours = asyncio.run(torture_ours.torture(Path(here), base))
        plain = asyncio.run(torture_plain.torture(Path(there), base))
    assert ours.verdicts.keys() == plain.verdicts.keys()
    table = Table("item", "Goldsmith", "plain vLLM", title="bad adapters, poison and engine killers")
    for name, verdict in ours.verdicts.items():
        table.add_row(name, verdict, plain.verdicts[name])
    Console().print(table)
    # Files that vanish are no bad adapter: it was sound, and is answered from memory.
    bad = {name: verdict for name, verdict in ours.verdicts.items() if name != VANISHED}
    return {
        "bad_adapters": len(bad),
        "bad_adapters_accepted": sum(verdict == "accepted" for verdict in bad.values()),
        "bystander_outputs_changed": ours.changed,
        "engine_deaths": ours.deaths,
        "plain_vllm_accepted": sum(verdict.startswith("accepted") for verdict in plain.verdicts.values()),
        "plain_vllm_bystander_outputs_changed": plain.changed,
        "plain_vllm_engine_deaths": plain.deaths,
    }


if __name__ == "__main__":
    main()
