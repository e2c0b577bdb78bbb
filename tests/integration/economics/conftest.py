"""A trainer that knows what its jobs have cost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from shared.base_model import BaseModel
from tests.economics_house import EconomicsHouse, open_economics
from tests.integration.economics.house import FAILED, OTHER, WAITING


@pytest_asyncio.fixture
async def house(tiny_base: BaseModel, tmp_path: Path) -> AsyncIterator[EconomicsHouse]:
    """An adapter that took a job that succeeded and one that failed."""
    async with open_economics(tiny_base, tmp_path, others=(FAILED, WAITING, OTHER)) as own:
        yield own
