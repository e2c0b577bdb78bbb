"""What becomes of an engine's process whose service is killed."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
import time
from contextlib import suppress

import psutil
import pytest

from inference_svc.engine.orphan import die_with_parent

_SERVICE = """
import multiprocessing, time
from tests.unit.inference_svc.test_orphan import engine
if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=engine)
    process.start()
    print(process.pid, flush=True)
    time.sleep(600)
"""


def engine() -> None:
    """Runs until it is killed, or ends itself."""
    die_with_parent()
    sys.stdout.write("up\n")
    sys.stdout.flush()
    time.sleep(600)


@pytest.mark.timeout(120)
def test_an_engine_ends_when_its_service_is_killed() -> None:
    """And not before."""
    service = subprocess.Popen([sys.executable, "-c", _SERVICE], stdout=subprocess.PIPE, text=True)
    child: psutil.Process | None = None
    try:
        assert service.stdout is not None
        child = psutil.Process(int(service.stdout.readline()))
        assert service.stdout.readline() == "up\n"
        time.sleep(1.5)
        assert _runs(child)

        service.kill()

        end = time.monotonic() + 60
        while _runs(child) and time.monotonic() < end:
            time.sleep(0.1)
        assert not _runs(child)
    finally:
        for process in (service, child):
            with suppress(psutil.NoSuchProcess, AttributeError):
                process.kill()  # type: ignore[union-attr]  # suppressed
        service.communicate()


def test_a_service_by_itself_is_left_alone() -> None:
    """The plugin runs in the service's process, too, whose parent may end as it likes."""
    assert multiprocessing.parent_process() is None

    die_with_parent()

    assert "parent-watch" not in [thread.name for thread in threading.enumerate()]


def _runs(process: psutil.Process) -> bool:
    """A zombie does not; it stays where nobody asks what became of it."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
