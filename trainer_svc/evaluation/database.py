"""Databases that a tenant's SQL is run on: in memory, within limits, and unable to reach anything else."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from shared.errors import FieldViolation, InvalidInput

_STEPS_PER_CALLBACK = 10_000
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

Rows = list[tuple[object, ...]]


@contextlib.contextmanager
def open_database(ddl: str, inserts: str) -> Iterator[sqlite3.Connection]:
    """A database in memory with the tables of `ddl` and the rows of `inserts`, read-only from then on.

    Both texts are a tenant's: they may build tables and rows, reach no file, and are held to limits of size and time.
    PRAGMAs are skipped, because dumps hold harmless ones.

    Raises:
        InvalidInput: FIELD_INVALID when a statement fails, is forbidden or takes too long.
    """
    with contextlib.closing(_limited()) as database:
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


@contextlib.contextmanager
def open_copy(image: bytes) -> Iterator[sqlite3.Connection]:
    """A copy of a database of `open_database` that `serialize` gave, without rules yet; `make_read_only` sets them."""
    with contextlib.closing(_limited()) as database:
        database.deserialize(image)
        _limit_steps(database, _MAX_SETUP_CALLBACKS)
        yield database


def make_read_only(database: sqlite3.Connection) -> None:
    """Nothing but reading from now on: before the first statement that is not our own."""
    database.commit()
    database.set_authorizer(_authorize_reading)


def result(database: sqlite3.Connection, statement: str, callback_count: int) -> Rows | None:
    """The first 10,000 rows of a statement; None where it fails or takes more than `callback_count` * 10,000 steps.

    Floats keep 12 digits: sums depend on the order of their rows.
    """
    _limit_steps(database, callback_count)
    try:
        found = database.execute(statement).fetchmany(_MAX_ROWS)
    except (sqlite3.Error, sqlite3.Warning, ValueError):  # ValueError: halves of surrogate pairs
        return None
    return [tuple(float(f"{cell:.12g}") if isinstance(cell, float) else cell for cell in row) for row in found]


def _limited() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
    database.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    database.execute(f"PRAGMA max_page_count = {_MAX_PAGES}")
    return database


def _authorize_building(action: int, *_: object) -> int:
    if action == sqlite3.SQLITE_PRAGMA:
        return sqlite3.SQLITE_IGNORE
    return sqlite3.SQLITE_OK if action in _BUILDING else sqlite3.SQLITE_DENY


def _authorize_reading(action: int, *_: object) -> int:
    return sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY


def _limit_steps(database: sqlite3.Connection, callback_count: int) -> None:
    """Interrupts the next statements once they took this many callbacks: a limit that no clock makes flaky."""
    callbacks = 0

    def count() -> bool:
        nonlocal callbacks
        callbacks += 1
        return callbacks > callback_count

    database.set_progress_handler(count, _STEPS_PER_CALLBACK)
