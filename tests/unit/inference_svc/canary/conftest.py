"""A replica with a canary on trial."""

from __future__ import annotations

import pytest_asyncio

from tests.unit.inference_svc.canary_trial import on_trial
from tests.unit.inference_svc.conftest import Replica


@pytest_asyncio.fixture
async def trial(replica: Replica) -> Replica:
    """Revision 1 is live, revision 2 a canary at one half; both are in the engine."""
    return await on_trial(replica)
