"""The format guarantee in one table: real schemas in four systems, hostile ones, walks, vLLM, its throughput, SQL."""

from __future__ import annotations

import logging
import sys

from tests.bench import format_engine, format_hostile, format_schemas, format_sql, format_walks, serving
from tests.bench.format_sql import DATA
from tests.bench.format_system import SYSTEMS
from tests.bench.result import keep, report

_COMPARED = (
    "schemas", "fully_right_ratio", "invalid_accepted", "valid_rejected", "refused", "timeouts", "certain_ratio",
    "compile_p50_ms", "compile_p99_ms", "mask_p50_us", "mask_p99_us",
)  # fmt: skip


def main() -> None:
    """Runs every part; needs the real schemas and databases."""
    if not DATA.is_dir():
        sys.exit(f"no real schemas in {DATA}: set GOLDSMITH_DATA")
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of each unusual type in a DDL
    figures: dict[str, float | int | str] = {}
    notes: list[str] = []
    speed = serving.measure()
    figures["throughput_ratio"] = speed["contract_over_unconstrained"]
    figures["throughput_recursive_ratio"] = speed["recursive_contract_over_unconstrained"]
    for part in (format_engine, format_hostile, format_schemas, format_walks):
        found, more = part.measure(DATA)
        figures |= found
        notes += more
        keep("format", figures)
    figures |= format_sql.measure(DATA)
    _compare(figures)
    sys.stdout.writelines(f"{note}\n" for note in notes)
    report("format", figures)


def _compare(figures: dict[str, float | int | str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", *SYSTEMS, title="real schemas, 131,072 tokens")
    for key in _COMPARED:
        values = [figures[key if name == "goldsmith" else f"{name}_{key}"] for name in SYSTEMS]
        table.add_row(key, *(f"{value:.4g}" if isinstance(value, float) else str(value) for value in values))
    Console().print(table)


if __name__ == "__main__":
    main()
