"""A trainer behind TLS, and an adapter for each test."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from shared.base_model import BaseModel
from tests.access.house import House, open_house
from tests.integration.promotion.house import Adapter


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tiny_base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A trainer behind TLS, with tenants acme and globex."""
    async with open_house(tiny_base, tmp_path_factory.mktemp("house")) as own:
        yield own


@pytest.fixture
def adapter(house: House) -> Adapter:
    """An adapter of each test's own."""
    return Adapter(house, f"a{uuid.uuid4().hex}")
