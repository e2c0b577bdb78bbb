"""Tenants made of real golden datasets that lie beside the checkout; nothing of them is shipped."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from deploy.quickstart.instructions import json_instructions, sql_instructions
from deploy.quickstart.tenant import DemoTenant, GoldenRow
from shared.contracts.spec import ContractKind

_EXTRACTION = {"BookRestaurant": "restaurants", "AddToPlaylist": "playlists"}


def real_tenants(folder: Path) -> list[DemoTenant]:
    """BookRestaurant and AddToPlaylist (JSON) and geography (SQL), official splits.

    Raises:
        FileNotFoundError: `folder` does not hold them.
    """
    return [*(_extraction(folder / "snips", name, tenant) for name, tenant in _EXTRACTION.items()), _geography(folder)]


def _extraction(folder: Path, name: str, tenant: str) -> DemoTenant:
    schema = (folder / f"{name}.schema.json").read_text()
    train, holdout = _rows(folder / f"{name}.train.jsonl"), _rows(folder / f"{name}.holdout.jsonl")
    prompt = json_instructions(
        "You turn a request of a user into a single JSON object that holds what the request says.",
        json.loads(schema),
        [(row.input, row.output) for row in train[:8]],
    )
    return DemoTenant(tenant, ContractKind.JSON, schema, prompt, train, holdout)


def _geography(folder: Path) -> DemoTenant:
    folder = folder / "geography"
    ddl = (folder / "schema.sql").read_text()
    train, holdout = _rows(folder / "train.jsonl"), _rows(folder / "holdout.jsonl")
    prompt = sql_instructions(
        "You answer questions about geography by writing one SQLite statement over a database.",
        ddl,
        [(row.input, row.output) for row in train[:6]],
    )
    return DemoTenant("atlas", ContractKind.SQL, ddl, prompt, train, holdout, _inserts(folder / "database.sqlite"))


def _rows(path: Path) -> tuple[GoldenRow, ...]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(GoldenRow(row["input"], row["output"]) for row in map(json.loads, lines))


def _inserts(database: Path) -> str:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return "\n".join(line for line in connection.iterdump() if line.startswith("INSERT"))
