"""Steps of the engine that never end."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from inference_svc.engine.step_limit import StepLimit

_STUCK = """
import time
from inference_svc.engine.step_limit import StepLimit
def a_step_without_end():
    time.sleep(600)
with StepLimit(0.2):
    a_step_without_end()
"""


class TestStepLimit:
    """How long one step may take."""

    def test_tells_of_a_step_that_does_not_end(self) -> None:
        """While it still runs: nobody else would."""
        late = threading.Event()

        with StepLimit(0.2, late.set):
            assert late.wait(30)

    def test_leaves_alone_what_ends_in_time(self) -> None:
        """However many steps there are, and however long nothing runs between them."""
        late = threading.Event()
        limit = StepLimit(2.0, late.set)

        for _ in range(30):
            with limit:
                time.sleep(0.1)
        time.sleep(2.5)

        assert not late.is_set()

    @pytest.mark.parametrize("stderr", ["sys.stderr", "None"])
    def test_ends_the_process_and_tells_what_it_was_at(self, stderr: str) -> None:
        """A thread that hangs in C code cannot be interrupted otherwise."""
        program = f"import sys; sys.stderr = {stderr}\n{_STUCK}"

        ended = subprocess.run(
            [sys.executable, "-c", program], check=False, stderr=subprocess.PIPE, text=True, timeout=60
        )

        assert ended.returncode == -signal.SIGKILL
        assert ("in a_step_without_end" in ended.stderr) == (stderr == "sys.stderr")
