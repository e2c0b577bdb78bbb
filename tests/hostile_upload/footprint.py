"""What uploads cost the house: memory of the service and of all its children, and files that nobody owns."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import threading
from pathlib import Path
from typing import Self

import psutil

MIB = 1 << 20
_PAUSE_SECONDS = 0.025
"""A child that reads Parquet lives for ten times as long at least."""
_DATABASE = "trainer.db"


class Memory:
    """Memory of a service and its children from here to the end of the block, in bytes; shared pages count in parts."""

    def __init__(self, pid: int) -> None:
        self._service, self._is_over = psutil.Process(pid), threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self.service_before = self.service_peak = self.before = self.peak = self.after = 0
        self._look()
        self.service_before, self.before = self.service_peak, self.peak

    def _look(self) -> None:
        own = self._service.memory_full_info().pss
        self.after = own
        for child in self._service.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended between two looks
                self.after += child.memory_full_info().pss
        self.service_peak, self.peak = max(self.service_peak, own), max(self.peak, self.after)

    def _watch(self) -> None:
        while not self._is_over.wait(_PAUSE_SECONDS):
            self._look()

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._watcher.join()
        self._look()

    @property
    def growth_mib(self) -> float:
        """At its highest, against the beginning."""
        return (self.peak - self.before) / MIB

    @property
    def service_growth_mib(self) -> float:
        """The same without the children."""
        return (self.service_peak - self.service_before) / MIB

    @property
    def kept_mib(self) -> float:
        """At the end, against the beginning."""
        return (self.after - self.before) / MIB


def files(data: Path) -> set[Path]:
    """All files of a trainer, the database's own left out."""
    return {path for path in data.rglob("*") if path.is_file() and not path.name.startswith(_DATABASE)}


def unowned(data: Path, before: set[Path]) -> set[Path]:
    """Files that came since `before` and that no dataset which was accepted holds."""
    with contextlib.closing(sqlite3.connect(data / _DATABASE)) as database:
        bodies = [body for (body,) in database.execute("SELECT body FROM datasets")]
    accepted = [body for body in bodies if json.loads(body)["state"].upper() == "ACTIVE"]
    held = {digest for body in accepted for digest in re.findall("sha256:([0-9a-f]{64})", body)}
    return {path for path in files(data) - before if not (path.parent.name == "blobs" and path.name in held)}
