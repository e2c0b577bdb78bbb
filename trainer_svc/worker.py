"""`python -m trainer_svc.worker RUN_DIR [--validate | --calibrate]`: the child process of one training job.

It runs the job, only proves it, or only measures what it would take.

With `--share` it is one of several that train together; the child that was started without it started them.

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
from trainer_svc.domain.fault import fault_of
from trainer_svc.domain.job import DISK_FULL, OUT_OF_MEMORY
from trainer_svc.domain.run import (
    CALIBRATE_FLAG,
    EXIT_DISK_FULL,
    EXIT_DONE,
    EXIT_INTERNAL_ERROR,
    EXIT_OUT_OF_MEMORY,
    EXIT_STOPPED,
    EXIT_USER_ERROR,
    PARENT_VARIABLE,
    SHARE_FLAG,
    VALIDATE_FLAG,
    Cancelled,
    ProcessFailed,
    RunFolder,
    RunSpec,
)
from trainer_svc.engine.journal import Journal

_log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_VALIDATION_NICENESS = 10
"""It goes on beside trainings: whoever creates jobs by the hundred must not slow down those that run."""
FAULT_STATUS = {DISK_FULL: EXIT_DISK_FULL, OUT_OF_MEMORY: EXIT_OUT_OF_MEMORY}
"""By fault of the machine: a status needs no disk and no memory, as a file would."""
Work = Callable[[RunSpec, RunFolder, Journal, Callable[[], bool]], None]


def main(argv: list[str]) -> int:
    """Does the work on the job in the folder `argv[0]`; the exit status is one of `trainer_svc.domain.run`."""
    configure()
    die_with_parent()
    folder = RunFolder(Path(argv[0]))
    terminated = False

    def stop(*_: object) -> None:
        nonlocal terminated
        terminated = True

    signal.signal(signal.SIGTERM, stop)
    is_cancelled = lambda: terminated or folder.stop.exists()  # noqa: E731
    if SHARE_FLAG in argv[1:]:  # who started it holds the lock
        return exit_status(_train_share, folder, is_cancelled)
    with folder.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # an earlier attempt may still be dying
        return exit_status(_work(argv[1:]), folder, is_cancelled)


def _work(flags: list[str]) -> Work:
    works = {VALIDATE_FLAG: _validate, CALIBRATE_FLAG: _calibrate}
    return next((work for flag, work in works.items() if flag in flags), _train)


def _validate(spec: RunSpec, folder: RunFolder, journal: Journal, is_cancelled: Callable[[], bool]) -> None:
    from trainer_svc.engine.preparation import prepare

    os.nice(_VALIDATION_NICENESS)
    prepare(spec, folder, journal)


def _train(spec: RunSpec, folder: RunFolder, journal: Journal, is_cancelled: Callable[[], bool]) -> None:
    # Imported here, so that a mistake in the folder is reported before torch is loaded, which no validation needs.
    from trainer_svc.engine.pipeline import run

    run(spec, folder, journal, is_cancelled)


def _train_share(spec: RunSpec, folder: RunFolder, journal: Journal, is_cancelled: Callable[[], bool]) -> None:
    from trainer_svc.engine.training_stage import run_share

    run_share(spec, folder, journal, is_cancelled)


def _calibrate(spec: RunSpec, folder: RunFolder, journal: Journal, is_cancelled: Callable[[], bool]) -> None:
    from trainer_svc.engine.calibration import calibrate

    calibrate(spec, folder, journal, is_cancelled)


def exit_status(work: Work, folder: RunFolder, is_cancelled: Callable[[], bool]) -> int:
    """Does the work and tells how it went: by the status, and where the disk allows in the run's failure file."""
    try:
        spec = RunSpec.from_json(folder.spec.read_bytes())
        with contextlib.closing(Journal(folder.events)) as journal:
            work(spec, folder, journal, is_cancelled)
    except (Cancelled, ProcessFailed) as err:
        return err.status if isinstance(err, ProcessFailed) else EXIT_STOPPED
    except InvalidInput as err:
        return _fail(folder, err.reason, str(err), user_error=True)
    except Exception as err:  # the edge of the process
        _log.exception("training failed")
        fault = fault_of(err)
        if fault is not None:
            return FAULT_STATUS[fault]
        if isinstance(err, DomainError):  # an adapter that fails our own proof, a damaged file: no tenant can change it
            return _fail(folder, err.reason, str(err), user_error=False)
        # Its text may hold paths or rows: its type is told, its place is logged.
        return _fail(folder, "INTERNAL", f"{type(err).__name__}, see the log of the run", user_error=False)
    return EXIT_DONE


def _fail(folder: RunFolder, reason: str, message: str, *, user_error: bool) -> int:
    body = {"reason": reason, "message": message[:2000], "user_error": user_error}
    try:
        write_atomic(folder.failure, json.dumps(body).encode())
    except OSError as err:
        if fault_of(err) != DISK_FULL:
            raise
        return EXIT_DISK_FULL
    return EXIT_USER_ERROR if user_error else EXIT_INTERNAL_ERROR


def die_with_parent() -> None:
    """Asks Linux to kill this process when the one that started it dies, whatever kills that."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is not None and os.getppid() != int(parent):
        sys.exit(EXIT_INTERNAL_ERROR)  # it died before the request above


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
