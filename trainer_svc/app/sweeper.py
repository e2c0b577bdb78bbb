"""Datasets that nobody finishes: uploads are removed after a while, checks that failed on the way begin anew."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from shared.clock import Clock
from trainer_svc.app.datasets import Datasets
from trainer_svc.app.upload import Uploads

_PERIOD_SECONDS = 3600.0
_log = logging.getLogger(__name__)


class Sweeper:
    """Keeps the folder of uploads down to those that may still be finished, and finishes those it can."""

    def __init__(
        self, datasets: Datasets, uploads: Uploads, clock: Clock, *, retention_hours: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:  # fmt: skip
        self._datasets, self._uploads, self._clock, self._sleep = datasets, uploads, clock, sleep
        self._retention = timedelta(hours=retention_hours)

    async def begin(self) -> None:
        """Sweeps before the service serves, while nobody reads what lies in the scratch folder."""
        await asyncio.to_thread(self._uploads.clear_scratch)
        await self._try_sweep()

    async def run(self) -> None:
        """Sweeps each hour, and then begins the checks again that failed since; to be cancelled.

        A full disk or a database that was away is no end of a dataset, whose owner may not be there to seal it again;
        what fails each time costs one check an hour.
        """
        while True:
            await self._sleep(_PERIOD_SECONDS)
            await self._try_sweep()
            await self._try_take_up()

    async def _try_sweep(self) -> None:
        try:
            await self.sweep()
        except Exception:  # the service serves without it, and the next round may do better
            _log.exception("unfinished uploads could not be removed")

    async def _try_take_up(self) -> None:
        try:
            await self._datasets.take_up()
        except Exception:  # as above
            _log.exception("checks that failed could not be taken up")

    async def sweep(self) -> int:
        """Removes unfinished datasets that got no byte for too long, and bytes of finished ones; how many datasets."""
        before = self._clock.now() - self._retention
        names = {*await self._datasets.unfinished(), *await asyncio.to_thread(lambda: list(self._uploads.stored()))}
        removed = [name for name in sorted(names) if await self._datasets.forget(name, before)]
        for name in removed:
            _log.info("removed the unfinished upload of %s", name)
        return len(removed)
