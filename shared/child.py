"""A program of ours in a process of its own, for work on a stranger's bytes: it may be killed, the service may not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

EXIT_REFUSED = 3
"""The program says why on its standard output."""
EXIT_OUT_OF_MEMORY = 4
# A failed allocation in native code aborts; the kernel's own limit kills.
_MEMORY_SIGNALS = (signal.SIGABRT, signal.SIGKILL, signal.SIGSEGV)
_SOURCE_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Ended:
    """How a child ended."""

    status: int
    """As `Popen.returncode`: negative for a signal."""
    output: bytes
    errors: bytes

    @property
    def is_out_of_memory(self) -> bool:
        """Whether it asked for more memory than its limit, as far as its end tells."""
        return self.status in (EXIT_OUT_OF_MEMORY, *(-number for number in _MEMORY_SIGNALS))

    @property
    def is_out_of_time(self) -> bool:
        """Whether the kernel ended it for the processor time it took."""
        return self.status == -signal.SIGXCPU

    @property
    def last_error(self) -> str:
        """The last line that it wrote on standard error."""
        lines = self.errors.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no message"


def run_child(module: str, order: bytes, *, wall_seconds: float, environment: dict[str, str] | None = None) -> Ended:
    """Runs `python -m module` with `order` on its standard input; blocking. The child sets its own limits.

    Raises:
        TimeoutError: it took longer than `wall_seconds`, and was killed with all that it had started.
    """
    path = os.pathsep.join(filter(None, (str(_SOURCE_ROOT), os.environ.get("PYTHONPATH"))))
    # Thread pools of numeric libraries would reserve address space, which is what is limited.
    single = {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(  # noqa: S603  # our own modules
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | single | (environment or {}),
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(order, timeout=wall_seconds)
        except BaseException as err:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(err, subprocess.TimeoutExpired):
                raise TimeoutError(f"{module} took more than {wall_seconds:g} s") from err
            raise
    return Ended(process.returncode, output, errors)
