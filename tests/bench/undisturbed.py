"""Measurements on a machine that shares its processors with others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import psutil

_MAX_STOLEN = 0.03
"""Above, what is slowest of a few hundred requests tells of the host only."""

_T = TypeVar("_T")


class Undisturbed:
    """Makes a measurement again while the host gave the processors' time to other machines meanwhile.

    The host's own account decides, not what was found, and what is compared must be within one measurement: who works
    more has more to lose. A machine that is always disturbed is measured as it is.
    """

    def __init__(self, repeats: int) -> None:
        self.repeats_left = repeats
        self.worst_stolen = 0.0
        """Of the measurements that count."""

    def run(self, measure: Callable[[], _T]) -> _T:
        """What `measure` found, the first time that nothing disturbed it, or the last time."""
        while True:
            stretch = _Stretch()
            found = measure()
            if self._counts(stretch):
                return found

    async def wait(self, measure: Callable[[], Awaitable[_T]]) -> _T:
        """The same for a coroutine."""
        while True:
            stretch = _Stretch()
            found = await measure()
            if self._counts(stretch):
                return found

    def _counts(self, stretch: _Stretch) -> bool:
        stolen = stretch.stolen_ratio()
        if stolen > _MAX_STOLEN and self.repeats_left:
            self.repeats_left -= 1
            return False
        self.worst_stolen = max(self.worst_stolen, stolen)
        return True


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
