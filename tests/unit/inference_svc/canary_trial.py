"""A canary at one half beside a revision that is live, for tests of canaries."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from inference_svc.domain.canary_choice import CanaryChoice
from inference_svc.domain.generation import Answer, Question, Sampling
from shared.adapter.canary import CanarySplit
from tests.unit.inference_svc.conftest import ADAPTER, ALIAS, Replica, revision

START = datetime(2026, 1, 1, tzinfo=UTC)
HALF = CanarySplit(revision(2), 50, start_time=START)
QUESTION = Question(
    adapter=ADAPTER, input="is it so?", instructions="", contract="", kind=None, sampling=Sampling(),
    deadline_seconds=20.0,
)  # fmt: skip


async def begin_trial(replica: Replica) -> Replica:
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
