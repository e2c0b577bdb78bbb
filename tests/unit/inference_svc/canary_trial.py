"""A replica with a canary, and requests to it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime

from inference_svc.domain.canary_choice import CanaryChoice
from inference_svc.domain.generation import Answer, Question, Sampling
from shared.adapter.canary import CanarySplit
from shared.errors import InternalFault, StateConflict
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, Replica, revision

START = datetime(2026, 1, 1, tzinfo=UTC)
HALF = CanarySplit(revision(2), 50, start_time=START)
QUESTION = Question(
    adapter=ADAPTER, input="is it so?", instructions="", contract="", kind=None, sampling=Sampling(),
    deadline_seconds=20.0,
)  # fmt: skip


async def on_trial(replica: Replica) -> Replica:
    """Revision 1 is live, revision 2 a canary at one half; both are in the engine."""
    replica.fleet.point(ALIAS, replica.publish(1), replace(HALF, revision=replica.publish(2)))
    await settled(replica)
    await replica.use(ADAPTER)
    await replica.settle()
    return replica


async def settled(replica: Replica) -> None:
    """Waits until promotions, loads of canaries, and reports to the registry are over."""
    await replica.settle()
    while replica.fleet._canaries._tasks:
        await asyncio.gather(*replica.fleet._canaries._tasks, return_exceptions=True)
    await replica.fleet._canaries._file.saved()


async def ask(replica: Replica, choice: CanaryChoice = CanaryChoice.DRAWN, adapter: str = ADAPTER) -> int:
    """Number of the revision that answers."""
    answer = await replica.answering.answer(replace(QUESTION, adapter=adapter, canary=choice))
    assert isinstance(answer, Answer)
    return int(answer.revision.rpartition("/")[2])


async def ask_until_rolled_back(replica: Replica, limit: int) -> int:
    """Requests until the canary gets nothing any more; those of the canary break their contract."""
    for number in range(limit):
        if replica.fleet.canary_shares(revision(2)) in ([(str(ALIAS), 0)], []):
            return number
        replica.engine.broken.add("acme/answer/2")
        with contextlib.suppress(InternalFault, StateConflict):
            await ask(replica)
    raise AssertionError(f"not rolled back after {limit} requests")
