"""SQL contracts on GeoQuery, and random walks over several databases' grammars: `python -m tests.bench format_sql`."""

from __future__ import annotations

import json
import logging
import os
import random
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from deploy.quickstart.sales import DDL as QUICKSTART
from shared.contracts.spec import ContractKind, ContractSpec, JoinEdge, SqlProfile
from shared.contracts.sql import Coverage, check_sql, coverage_of, lower_sql
from tests.bench.result import report
from tests.derivation import RandomTexts
from tests.unit.contracts.sql.schemas import ALL, WIDE

DATA = Path(os.environ.get("GOLDSMITH_DATA", Path(__file__).parents[3] / "shared" / "data"))
WALKS = 1_000
GEOGRAPHY_EDGES = (
    JoinEdge("border_info", "border", "state", "state_name"),
    JoinEdge("border_info", "border", "border_info", "state_name"),
    JoinEdge("border_info", "border", "highlow", "state_name"),
    JoinEdge("river", "traverse", "state", "state_name"),
    JoinEdge("river", "traverse", "city", "state_name"),
    JoinEdge("river", "traverse", "highlow", "state_name"),
    JoinEdge("state", "capital", "city", "city_name"),
)
"""What the names of GeoQuery's columns do not say: its DDL declares no key at all."""


def geography(folder: Path = DATA, *, profile: SqlProfile = SqlProfile.NESTED) -> ContractSpec:
    """GeoQuery's contract as its owner would write it."""
    ddl = (folder / "geography" / "schema.sql").read_text()
    return ContractSpec(ContractKind.SQL, ddl=ddl, profile=profile, join_edges=GEOGRAPHY_EDGES)


def geography_statements(folder: Path = DATA) -> list[str]:
    """Every golden statement, train and holdout."""
    lines = [line for split in ("train", "holdout") for line in _lines(folder / "geography" / f"{split}.jsonl")]
    return [json.loads(line)["output"] for line in lines]


def geography_coverage(folder: Path = DATA) -> tuple[Coverage, int]:
    """Coverage of the golden statements, and how many canonical ones answer otherwise than the golden ones do."""
    statements = geography_statements(folder)
    coverage = coverage_of(geography(folder), statements)
    connection = sqlite3.connect(f"{(folder / 'geography' / 'database.sqlite').as_uri()}?mode=ro", uri=True)
    pairs = [(old, row.canonical) for old, row in zip(statements, coverage.rows, strict=True) if row.canonical]
    changed = sum(_answer(connection, old) != _answer(connection, new) for old, new in pairs)
    connection.close()
    return coverage, changed


def walk_faults(folder: Path = DATA, count: int = WALKS) -> list[tuple[str, str]]:
    """Random texts of the grammars of several databases, both profiles, that do not parse or fail SQLite's EXPLAIN."""
    specs = [geography(folder)]
    specs += [ContractSpec(ContractKind.SQL, ddl=ddl, profile=SqlProfile.NESTED) for ddl in (*ALL.values(), WIDE)]
    specs += [ContractSpec(ContractKind.SQL, ddl=QUICKSTART, profile=SqlProfile.NESTED)]
    specs += [replace(spec, profile=SqlProfile.FLAT) for spec in specs]
    faults = []
    for number, spec in enumerate(specs):
        texts = RandomTexts(lower_sql(spec).grammar, random.Random(number))
        for _ in range(count // len(specs) + (number < count % len(specs))):
            text = texts.draw()
            faults += [(text, fault.description) for fault in check_sql(spec, text)]
    return faults


def measure(folder: Path = DATA) -> dict[str, float]:
    """The figures of SQL contracts; `FileNotFoundError` without the real data."""
    coverage, changed = geography_coverage(folder)
    flat = replace(geography(folder, profile=SqlProfile.FLAT), join_edges=())
    undeclared = replace(geography(folder), join_edges=())
    statements = geography_statements(folder)
    return {
        "geography_coverage_ratio": coverage.ratio,
        "geography_changed_answers": changed,
        "geography_undeclared_coverage_ratio": coverage_of(undeclared, statements).ratio,
        "geography_flat_coverage_ratio": coverage_of(flat, statements).ratio,
        "sql_walks": WALKS,
        "sql_walks_failed": len(walk_faults(folder)),
    }


def main() -> None:
    """Prints the figures and writes build/bench/format_sql.json; says so where there is no real data."""
    if not DATA.is_dir():
        sys.stdout.write(f"format_sql: skipped, no real databases in {DATA}; set GOLDSMITH_DATA\n")
        return
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of each unusual type in a DDL
    report("format_sql", measure())


def _lines(path: Path) -> Iterator[str]:
    return (line for line in path.read_text("utf-8").splitlines() if line.strip())


def _answer(connection: sqlite3.Connection, text: str) -> list[str]:
    return sorted(map(repr, connection.execute(text).fetchall()))


if __name__ == "__main__":
    main()
