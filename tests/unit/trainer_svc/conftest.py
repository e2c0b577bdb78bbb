"""A trainer's stores in a temporary folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from shared.testing import ManualClock
from trainer_svc.store.database import Database

Result = TypeVar("Result")


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A migrated SQLite database on disk."""
    own = Database(f"sqlite:///{tmp_path / 'trainer.db'}")
    own.migrate()
    yield own
    own.close()


@pytest.fixture
def transact(database: Database) -> Callable[[Callable[[Connection], Result]], Result]:
    """Runs a function of a connection in a transaction, without an event loop."""
    return lambda work: asyncio.run(database.run(work))
