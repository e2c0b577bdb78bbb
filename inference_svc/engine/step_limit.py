"""Ends an engine's process whose step never ends: a service that answers nothing must not look healthy."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable


class StepLimit:
    """A context for each step, one at a time."""

    def __init__(self, seconds: float, on_late: Callable[[], None] | None = None) -> None:
        """`on_late` is called once, in a thread of its own; None prints where each thread is, and kills the process."""
        self._seconds, self._on_late = seconds, on_late or _end_process
        self._began: float | None = None
        threading.Thread(target=self._watch, name="step-limit", daemon=True).start()

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *exception: object) -> None:
        self._began = None

    def _watch(self) -> None:
        while (began := self._began) is None or time.monotonic() - began < self._seconds:
            time.sleep(min(1.0, self._seconds / 4))
        self._on_late()


def _end_process() -> None:
    try:
        faulthandler.dump_traceback()
    finally:  # where there is no stderr, too
        os.kill(os.getpid(), signal.SIGKILL)
