"""One database, used from an event loop through one thread: every unit of work is one transaction."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import alembic.command
import alembic.config
from sqlalchemy import Connection, create_engine, event

Result = TypeVar("Result")

_MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """Runs functions of a connection, each in its own transaction, one after the other."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _configure_sqlite)
            event.listen(self._engine, "begin", _begin_immediately)

    def migrate(self) -> None:
        """Brings the tables up to date; blocking."""
        config = alembic.config.Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with self._engine.begin() as connection:
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, "head")

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        """Result of `work` after its transaction is durable; nothing is kept when it raises."""
        # Shielded: a caller that hangs up must not leave it unknown whether the transaction happened.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work))

    def _transact(self, work: Callable[[Connection], Result]) -> Result:
        with self._engine.begin() as connection:
            return work(connection)

    def close(self) -> None:
        """Waits for running work and closes the connections."""
        self._thread.shutdown()
        self._engine.dispose()


def _configure_sqlite(connection: sqlite3.Connection, _: Any) -> None:  # Any: SQLAlchemy's record
    # Python's own transaction handling would begin transactions too late; SQLAlchemy's begin event does it instead.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediately(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
