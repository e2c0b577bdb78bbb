"""Random rows for a schema, and what a statement answers on them."""

from __future__ import annotations

import random
import sqlite3

from shared.contracts.sql import read_schema


def database(ddl: str, seed: int) -> sqlite3.Connection:
    """The schema with random rows, many of them equal or NULL."""
    rng, connection = random.Random(seed), sqlite3.connect(":memory:")
    connection.executescript(ddl)
    for table in read_schema(ddl, "sqlite").tables:
        for number in range(12):
            row = [number if column.name == "id" else rng.choice([None, rng.randint(0, 4), "a", "b", 1.5, "5", ""])
                   for column in table.columns]  # fmt: skip
            holders = ", ".join("?" * len(row))
            connection.execute(f'INSERT OR IGNORE INTO "{table.name}" VALUES ({holders})', row)
    return connection


def answer(connection: sqlite3.Connection, text: str) -> list[str]:
    """Rows in any order."""
    return sorted(map(repr, connection.execute(text).fetchall()))
