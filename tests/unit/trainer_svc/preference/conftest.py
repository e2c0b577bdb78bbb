"""Preference studies over stores in a temporary folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from tests.unit.trainer_svc.preference.house import House
from trainer_svc.store.database import Database


@pytest.fixture
def house(database: Database, clock: ManualClock, tmp_path: Path) -> House:
    """Nothing was asked for yet."""
    return House(database, LocalBlobStore(tmp_path / "blobs"), clock)
