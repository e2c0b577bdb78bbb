"""A trainer whose datasets may have a teacher, over a temporary folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.trainer_svc.labelling.house import House
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.store.database import Database


@pytest.fixture
def house(tmp_path: Path, database: Database, compiler: ExampleCompiler) -> House:
    """Over a temporary folder."""
    return House(tmp_path, database, compiler)
