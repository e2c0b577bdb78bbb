"""Execution match: two statements are equal when they give the same result on a database."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence

from shared.errors import FieldViolation, InvalidInput

_STEPS_PER_CALLBACK = 10_000
_MAX_QUERY_CALLBACKS = 5_000
"""Of one statement: about 1.5 s (SQLite takes 33 million virtual-machine steps a second on a 2024 server core)."""
_MAX_SETUP_CALLBACKS = 100_000
"""Of the tables and of the rows: about 30 s; a database of some MB of INSERTs takes one."""
_MAX_ROWS = 10_000
_MAX_VALUE_BYTES = 16 << 20
"""Of a value or a statement: keeps `randomblob(1e9)` from taking the trainer's memory."""
_MAX_PAGES = 65_536
"""256 MiB at SQLite's page of 4,096 bytes."""
_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
# What builds a database in memory. Left out on purpose: ATTACH (which VACUUM INTO uses too) writes files anywhere;
# virtual tables and triggers run code of their own.
_BUILDING = _READING | {
    sqlite3.SQLITE_CREATE_TABLE,
    sqlite3.SQLITE_CREATE_INDEX,
    sqlite3.SQLITE_CREATE_VIEW,
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_UPDATE,
    sqlite3.SQLITE_DELETE,
    sqlite3.SQLITE_TRANSACTION,
    sqlite3.SQLITE_REINDEX,
}


def execution_match(ddl: str, inserts: str, golden: Sequence[str], generated: Sequence[str]) -> float:
    """Share of rows whose result equals the golden one, 0..1.

    Results are compared as multisets, in order where the golden statement orders; a statement that fails or takes too
    long never matches.

    Raises:
        InvalidInput: as `open_database`.
    """
    if not golden:
        return 0.0
    with open_database(ddl, inserts) as database:
        hits = [_is_same(database, gold, text) for gold, text in zip(golden, generated, strict=True)]
    return sum(hits) / len(hits)


@contextlib.contextmanager
def open_database(ddl: str, inserts: str) -> Iterator[sqlite3.Connection]:
    """A database in memory with the tables of `ddl` and the rows of `inserts`, read-only from then on.

    Both texts are a tenant's: they may build tables and rows, reach no file, and are held to limits of size and time.
    PRAGMAs are skipped, because dumps hold harmless ones.

    Raises:
        InvalidInput: FIELD_INVALID when a statement fails, is forbidden or takes too long.
    """
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
        database.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        database.execute(f"PRAGMA max_page_count = {_MAX_PAGES}")
        database.set_authorizer(_authorize_building)
        for path, script in (("contract.ddl", ddl), ("dataset.database_sql", inserts)):
            _limit_steps(database, _MAX_SETUP_CALLBACKS)
            try:
                database.executescript(script)
            except (sqlite3.Error, sqlite3.Warning, ValueError) as err:
                raise InvalidInput(
                    "FIELD_INVALID",
                    f"the database for execution match cannot be built from {path}: {err}",
                    hint="give plain SQLite CREATE TABLE and INSERT statements, or leave database_sql empty",
                    violations=[FieldViolation(path, str(err))],
                ) from err
        database.set_authorizer(_authorize_reading)
        yield database


def _authorize_building(action: int, *_: object) -> int:
    if action == sqlite3.SQLITE_PRAGMA:
        return sqlite3.SQLITE_IGNORE
    return sqlite3.SQLITE_OK if action in _BUILDING else sqlite3.SQLITE_DENY


def _authorize_reading(action: int, *_: object) -> int:
    return sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY


def _is_same(database: sqlite3.Connection, golden: str, generated: str) -> bool:
    if golden == generated:
        return True
    wanted, got = _result(database, golden), _result(database, generated)
    if wanted is None or got is None:
        return False
    return wanted == got if " ORDER BY " in golden.upper() else Counter(wanted) == Counter(got)


def _result(database: sqlite3.Connection, statement: str) -> list[tuple[object, ...]] | None:
    _limit_steps(database, _MAX_QUERY_CALLBACKS)
    try:
        return list(database.execute(statement).fetchmany(_MAX_ROWS))
    except (sqlite3.Error, sqlite3.Warning):
        return None


def _limit_steps(database: sqlite3.Connection, callback_count: int) -> None:
    """Interrupts the next statements once they took this many callbacks: a limit that no clock makes flaky."""
    callbacks = 0

    def count() -> bool:
        nonlocal callbacks
        callbacks += 1
        return callbacks > callback_count

    database.set_progress_handler(count, _STEPS_PER_CALLBACK)
