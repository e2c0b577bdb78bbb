"""Execution match: two statements are equal when they give the same result on a database."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Sequence

_MAX_STEPS = 200
"""Progress callbacks of 10,000 virtual-machine steps each: about two seconds of SQLite."""
_MAX_ROWS = 10_000
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})


def execution_match(ddl: str, inserts: str, golden: Sequence[str], generated: Sequence[str]) -> float:
    """Share of rows whose result equals the golden one, 0..1.

    Results are compared as multisets, in order where the golden statement orders; a statement that fails or takes too
    long never matches.
    """
    if not golden:
        return 0.0
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.executescript(ddl)
        database.executescript(inserts)
        database.set_authorizer(_authorize)
        hits = [_same(database, gold, text) for gold, text in zip(golden, generated, strict=True)]
    return sum(hits) / len(hits)


def _authorize(action: int, *_: object) -> int:
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _same(database: sqlite3.Connection, golden: str, generated: str) -> bool:
    if golden == generated:
        return True
    wanted, got = _result(database, golden), _result(database, generated)
    if wanted is None or got is None:
        return False
    return wanted == got if " ORDER BY " in golden.upper() else Counter(wanted) == Counter(got)


def _result(database: sqlite3.Connection, statement: str) -> list[tuple[object, ...]] | None:
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return steps > _MAX_STEPS

    database.set_progress_handler(count, 10_000)
    try:
        return list(database.execute(statement).fetchmany(_MAX_ROWS))
    except sqlite3.Error:
        return None
