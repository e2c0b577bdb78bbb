"""Who may keep the machine busy: trainings, or one measurement that must not be disturbed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from shared.changes import Changes
from shared.errors import Exhausted
from trainer_svc.domain.job import WORKING, Job, JobState
from trainer_svc.store import history
from trainer_svc.store.database import Database

_RETRY_SECONDS = 30.0
_BUSY = frozenset({JobState.VALIDATING, JobState.QUEUED, *WORKING})


class Machine:
    """A measurement beside a training would measure both, so that it waits for an idle machine and is then alone.

    Jobs come first: none is measured while a job runs or waits for a place, so a job waits for one measurement at most.
    """

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database, self._changes = database, changes
        self._lock, self._is_measured = asyncio.Lock(), False

    async def claim(self, take: Callable[[], Awaitable[Job | None]]) -> Job | None:
        """The job that `take` finds; None while something is measured."""
        async with self._lock:
            return None if self._is_measured else await take()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """No training begins in here.

        Raises:
            Exhausted: QUEUE_FULL, jobs run or wait, or something is measured already.
        """
        async with self._lock:  # no claim is on its way
            if self._is_measured:
                raise busy("another calibration is made")
            counts = await self._database.run(history.count_jobs)
            if count := sum(counts.get(state, 0) for state in _BUSY):
                raise busy(f"{count} training jobs run or wait")
            self._is_measured = True
        try:
            yield
        finally:
            self._is_measured = False
            self._changes.ring()


def busy(why: str) -> Exhausted:
    """The refusal of a measurement."""
    return Exhausted(
        "QUEUE_FULL",
        f"{why}: a calibration needs the machine for itself",
        hint="try again when it is idle, or leave calibrate out",
        metadata={"quota": "calibrations", "limit": "1"},
        retry_after_seconds=_RETRY_SECONDS,
    )
