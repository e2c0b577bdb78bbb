"""`python -m trainer_svc.worker RUN_DIR`: the child process that runs one training job.

Its death fails or requeues one job, never the service; the service's death ends it too.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from shared.errors import DomainError, InvalidInput
from shared.files import write_atomic
from shared.logs import configure
from trainer_svc.domain.run import (
    EXIT_CANCELLED,
    EXIT_DONE,
    EXIT_INTERNAL_ERROR,
    EXIT_USER_ERROR,
    Cancelled,
    RunFolder,
    RunSpec,
)

_log = logging.getLogger(__name__)

PARENT_VARIABLE = "GOLDSMITH_PARENT_PID"
_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> int:
    """Runs the job in the folder `argv[0]`; the exit status is one of `trainer_svc.domain.run`."""
    configure()
    _die_with_parent()
    folder = RunFolder(Path(argv[0]))
    terminated = False

    def stop(*_: object) -> None:
        nonlocal terminated
        terminated = True

    signal.signal(signal.SIGTERM, stop)
    with folder.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # an earlier attempt may still be dying
        spec = RunSpec.from_json(folder.spec.read_bytes())
        return _run(spec, folder, lambda: terminated or folder.cancel.exists())


def _run(spec: RunSpec, folder: RunFolder, is_cancelled: Callable[[], bool]) -> int:
    # Imported here, so that a mistake in the folder is reported before torch is loaded.
    from trainer_svc.engine.journal import Journal
    from trainer_svc.engine.pipeline import run

    try:
        with contextlib.closing(Journal(folder.events)) as journal:
            run(spec, folder, journal, is_cancelled)
    except Cancelled:
        return EXIT_CANCELLED
    except InvalidInput as err:
        return _fail(folder, err.reason, str(err), user_error=True)
    except DomainError as err:  # an adapter that fails our own proof, a damaged file: nothing the tenant can change
        _log.exception("training failed")
        return _fail(folder, err.reason, str(err), user_error=False)
    except Exception as err:  # the edge of the process; its text may hold paths or rows, its type and place are logged
        _log.exception("training failed")
        return _fail(folder, "INTERNAL", f"{type(err).__name__}, see the log of the run", user_error=False)
    return EXIT_DONE


def _fail(folder: RunFolder, reason: str, message: str, *, user_error: bool) -> int:
    body = {"reason": reason, "message": message[:2000], "user_error": user_error}
    write_atomic(folder.failure, json.dumps(body).encode())
    return EXIT_USER_ERROR if user_error else EXIT_INTERNAL_ERROR


def _die_with_parent() -> None:
    """Asks Linux to kill this process when the service dies, whatever kills it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is not None and os.getppid() != int(parent):
        sys.exit(EXIT_INTERNAL_ERROR)  # it died before the request above


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
