"""An engine whose service is gone (killed, out of memory) ends, too: nobody else would, and it holds gigabytes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

_CHECK_SECONDS = 1.0


def die_with_parent() -> None:
    """In a process that `multiprocessing` started: ends it within a second or two after its parent. Else nothing.

    Not by `PR_SET_PDEATHSIG`, which waits for the thread that started the process, and services end threads.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.pid,), name="parent-watch", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_CHECK_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)  # no clean-up: threads of vLLM wait for a front end that is gone
