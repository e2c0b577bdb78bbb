"""The use cases of datasets over a temporary folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.trainer_svc.dataset.desk import Desk
from tests.unit.trainer_svc.dataset.house import House
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.store.database import Database


@pytest.fixture
def house(tmp_path: Path, database: Database, compiler: ExampleCompiler) -> House:
    """Use cases over a temporary folder."""
    return House(tmp_path, database, compiler)


@pytest.fixture
def desk(tmp_path: Path, database: Database, compiler: ExampleCompiler) -> Desk:
    """The same with a curator."""
    return Desk(tmp_path, database, compiler)
