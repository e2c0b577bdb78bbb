"""What becomes of an engine's process whose service is killed."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time

import psutil
import pytest

from inference_svc.engine.orphan import die_with_parent

_SERVICE = """
import multiprocessing, time
from tests.unit.inference_svc.test_orphan import engine
if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=engine, args=({dies},))
    process.start()
    print(process.pid, flush=True)
    time.sleep(600)
"""


def engine(dies: bool) -> None:
    """Runs until it is killed."""
    if dies:
        die_with_parent()
    sys.stdout.write("up\n")
    sys.stdout.flush()
    time.sleep(600)


@pytest.mark.parametrize("dies", [True, False], ids=["watching", "not watching"])
def test_an_engine_ends_when_its_service_is_killed(dies: bool) -> None:
    """And not before. Without the watch it lives on, which is what the watch is for."""
    command = [sys.executable, "-c", _SERVICE.format(dies=dies)]
    service = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert service.stdout is not None
    child = psutil.Process(int(service.stdout.readline()))
    try:
        assert service.stdout.readline() == "up\n"
        with pytest.raises(psutil.TimeoutExpired):
            child.wait(timeout=2.5)

        service.kill()

        if dies:
            child.wait(timeout=30)
        else:
            with pytest.raises(psutil.TimeoutExpired):
                child.wait(timeout=2.5)
    finally:
        service.kill()
        service.wait()
        service.stdout.close()
        if child.is_running():
            child.kill()


def test_a_service_by_itself_is_left_alone() -> None:
    """The plugin runs in the service's process, too, whose parent may end as it likes."""
    assert multiprocessing.parent_process() is None

    die_with_parent()
