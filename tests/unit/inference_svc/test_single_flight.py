"""Loads of revisions, one at a time of each."""

from __future__ import annotations

import asyncio

import pytest

from inference_svc.app.single_flight import Loads
from inference_svc.domain.residency import Resident
from tests.unit.inference_svc.conftest import revision

pytestmark = pytest.mark.asyncio


class TestLoads:
    """Who waits for a load is expected at its revision until it goes on."""

    async def test_expects_nobody_when_all_have_gone_on(self) -> None:
        """Also who joined in the moment between the success of the load and the end of its task."""
        loads, resident, serves = Loads(lambda: None), Resident(revision(1), "", lambda *_: None), asyncio.Event()

        async def load() -> Resident:
            await serves.wait()
            loads.succeeded(resident)
            return resident

        first = asyncio.create_task(loads.join(resident.revision, load))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        serves.set()
        while not resident.expected:  # noqa: ASYNC110  # the load sets it within two turns of the loop
            await asyncio.sleep(0)
        assert resident.revision in loads

        await loads.join(resident.revision, load)

        await first
        assert resident.expected == 0
