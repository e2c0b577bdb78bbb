"""Starts the two services as real processes on loopback, waits until they are ready, and stops them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Self

_STOP_SECONDS = 30.0

# Passive waiting and an explicit thread split: two busy OpenMP teams on two cores run 50 times slower.
_ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}


class ServiceProcess:
    """One service with its log file. `address` and `ready` are known after `wait_ready`."""

    def __init__(self, module: str, flags: dict[str, str], log: Path) -> None:
        self._module, self._flags, self.log = module, flags, log
        self._process: subprocess.Popen[str] | None = None
        self._ready = threading.Event()
        self._reader: threading.Thread | None = None
        self.ready: dict[str, object] = {}

    def start(self) -> Self:
        """Launches the process; returns at once."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._ready.clear()
        command = [sys.executable, "-m", self._module]
        command += [part for key, value in self._flags.items() for part in (f"--{key}", value)]
        with self.log.open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own module and flags
                command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, **_ENVIRONMENT}
            )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        return self

    def _read(self, output: IO[str]) -> None:
        with output:
            for line in output:
                if line.startswith('{"ready"'):
                    self.ready = json.loads(line)
                    self._ready.set()

    def wait_ready(self, timeout_seconds: float = 300.0) -> str:
        """Address once the service serves.

        Raises:
            RuntimeError: it ended, or the time is up; the text names the log.
        """
        deadline = time.monotonic() + timeout_seconds
        while not self._ready.wait(0.2):
            if self.process.poll() is not None:
                raise RuntimeError(f"{self._module} ended with status {self.process.returncode}, see {self.log}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self._module} is not ready after {timeout_seconds:.0f} s, see {self.log}")
        return str(self.ready["address"])

    @property
    def process(self) -> subprocess.Popen[str]:
        """The running process."""
        assert self._process is not None, "start() comes first"
        return self._process

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self.process.kill()
        self._reap()

    def _reap(self) -> None:
        self.process.wait()
        if self._reader is not None:
            self._reader.join()

    def stop(self) -> int:
        """SIGTERM, then SIGKILL if it does not drain; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self._reap()
        return self.process.returncode

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
