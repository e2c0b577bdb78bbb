"""Measurements on a machine that shares its processors with others."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psutil

_MAX_STOLEN = 0.02
"""Of the processors' time: above, what is slowest of a few hundred requests tells of the host only."""

_T = TypeVar("_T")


class Undisturbed:
    """Makes a measurement again while the host gave the processors' time to other machines meanwhile.

    The host's own account decides, never what was measured. A machine that is always disturbed is measured as it is.
    """

    def __init__(self, repeats: int) -> None:
        self.repeats_left = repeats
        self.worst_stolen = 0.0
        """Share of the processors' time, of the measurements that count."""

    async def run(self, measure: Callable[[], Awaitable[_T]]) -> _T:
        """What `measure` found, the first time that nothing disturbed it, or the last time."""
        while True:
            begin, stolen_before = time.perf_counter(), _stolen_seconds()
            found = await measure()
            stolen = (_stolen_seconds() - stolen_before) / (time.perf_counter() - begin) / (psutil.cpu_count() or 1)
            if stolen <= _MAX_STOLEN or not self.repeats_left:
                self.worst_stolen = max(self.worst_stolen, stolen)
                return found
            self.repeats_left -= 1


def _stolen_seconds() -> float:
    """Of all processors together; only Linux tells."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0))
