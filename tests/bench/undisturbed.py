"""Measurements on a machine that shares its processors with others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psutil

_MAX_STOLEN = 0.03
"""Above, what is slowest of a few hundred requests tells of the host only."""
_PROBE_SECONDS = 1.0
_PAUSE_SECONDS = 15.0
"""Others are busy for minutes at a time."""
_PATIENCE_SECONDS = 600.0

_T = TypeVar("_T")


class Undisturbed:
    """Measures while the host leaves the processors alone, and again where it took their time away meanwhile.

    The host's own account decides, not what was found, and what is compared must be within one measurement: who works
    more has more to lose. A machine that is always disturbed is measured as it is, ten minutes later.
    """

    def __init__(self, repeats: int) -> None:
        self.repeats_left = repeats
        self.worst_stolen = 0.0
        """Of the measurements that count."""
        self._patience = _PATIENCE_SECONDS

    def run(self, measure: Callable[[], _T]) -> _T:
        """What `measure` found, the first time that nothing disturbed it, or the last time."""

        async def coroutine() -> _T:
            return measure()

        return asyncio.run(self.wait(coroutine))

    async def wait(self, measure: Callable[[], Awaitable[_T]]) -> _T:
        """The same for a coroutine."""
        while True:
            await self._calm()
            stretch = _Stretch()
            found = await measure()
            stolen = stretch.stolen_ratio()
            if stolen <= _MAX_STOLEN or not self.repeats_left:
                self.worst_stolen = max(self.worst_stolen, stolen)
                return found
            self.repeats_left -= 1

    async def _calm(self) -> None:
        while self._patience > 0 and _stolen_from_busy() > _MAX_STOLEN:
            self._patience -= _PAUSE_SECONDS
            await asyncio.sleep(_PAUSE_SECONDS)


class _Stretch:
    """Of time, from now on."""

    def __init__(self) -> None:
        self._begin = psutil.cpu_times()

    def stolen_ratio(self) -> float:
        """Of the time in which processors had something to do; 0 where the system does not tell."""
        begin, end = self._begin._asdict(), psutil.cpu_times()._asdict()
        seconds = {name: end[name] - begin[name] for name in end}
        stolen: float = seconds.get("steal", 0.0)
        return stolen / max(1e-9, stolen + seconds["user"] + seconds["system"])


def _stolen_from_busy() -> float:
    """From an idle processor there is nothing to steal."""
    stretch, end = _Stretch(), time.perf_counter() + _PROBE_SECONDS
    while time.perf_counter() < end:
        pass
    return stretch.stolen_ratio()
