"""A process for jobs that is killed when one takes too long: compilers in native code know no timeout."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Any

_Job = Any  # Any: whatever the function takes and returns, pickled by multiprocessing
TIMED_OUT = "timed out"
DIED = "died"


class KillableWorker:
    """One child process with a function, started again after each kill.

    `prepare()` makes the function in this process, so that a new child has it at once.

    A job that ends the process, by memory or otherwise, is answered with `DIED`; one that takes longer than `seconds`
    with `TIMED_OUT`.
    """

    def __init__(self, prepare: Callable[[], Callable[[_Job], _Job]], seconds: float, memory_bytes: int) -> None:
        self._function, self._seconds, self._memory_bytes = prepare(), seconds, memory_bytes
        self._context = multiprocessing.get_context("fork")
        self._process: Any = None  # Any: a process of the context
        self._pipe: Connection | None = None

    def map(self, jobs: Iterable[_Job]) -> Iterator[_Job]:
        """The answers, in order."""
        try:
            for job in jobs:
                yield self._run(job)
        finally:
            self._stop()

    def _run(self, job: _Job) -> _Job:
        if self._pipe is None:
            self._start()
        assert self._pipe is not None
        self._pipe.send(job)
        try:
            if self._pipe.poll(self._seconds):
                return self._pipe.recv()
        except (EOFError, ConnectionResetError):
            self._stop()
            return DIED
        self._stop()
        return TIMED_OUT

    def _start(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=self._serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def _serve(self, pipe: Connection) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (self._memory_bytes + used, self._memory_bytes + used))
        while True:
            pipe.send(self._function(pipe.recv()))

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
