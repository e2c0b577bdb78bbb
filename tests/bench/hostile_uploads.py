"""Every hostile upload against a trainer in a process of its own: answers, memory and disk."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import psutil

from deploy.quickstart.service_process import ServiceProcess
from tests.bench.result import Figures, report
from tests.conftest import write_tiny_base
from tests.hostile_upload import call, columns, comma_separated, json_lines
from tests.hostile_upload.attack import Attack, Room

_MIB = 1 << 20
_WARM = 20
"""Attacks before memory is measured first."""


def main() -> None:
    """Prints the figures and writes build/bench/hostile_uploads.json."""
    report("hostile_uploads", measure())


def measure() -> Figures:
    """How many attacks, how many of them got another answer than they should, memory and what is left on disk."""
    with tempfile.TemporaryDirectory() as folder:
        return _measure(Path(folder))


def _attacks() -> Iterator[Attack]:
    return chain(json_lines.attacks(), comma_separated.attacks(), columns.attacks(), call.attacks())


def _measure(folder: Path) -> Figures:
    (folder / "base").mkdir()
    write_tiny_base(folder / "base")
    flags = {"data-dir": str(folder / "data"), "base-model-dir": str(folder / "base"), "listen": "127.0.0.1:0"}
    with ServiceProcess("trainer_svc", flags | {"insecure-loopback": "true"}, folder / "log") as process:
        room = Room(process.wait_ready(60))
        figures = _try_all(room, psutil.Process(process.process.pid))
        room.close()
        figures["files_before_sweep"] = len(_expired(folder / "data" / "uploads"))
        process.kill()
        process.start()
        process.wait_ready(60)
        figures["files_left"] = len(_files(folder / "data" / "uploads"))
    return figures


def _try_all(room: Room, service: psutil.Process) -> Figures:
    count = wrong = before = 0
    start, slowest = time.monotonic(), (0.0, "")
    for count, attack in enumerate(_attacks(), 1):
        began = time.monotonic()
        outcome = attack.outcome(room)
        slowest = max(slowest, (time.monotonic() - began, attack.name))
        if outcome != attack.expected:
            wrong += 1
            print(f"{attack.name}: {outcome}, expected {attack.expected}")  # noqa: T201  # for who runs it
        if count == _WARM:
            before = service.memory_info().rss
    return {
        "hostile_uploads": count,
        "hostile_wrong_status": wrong,
        "seconds": time.monotonic() - start,
        "slowest_seconds": slowest[0],
        "slowest": slowest[1],
        "rss_before_mib": before / _MIB,
        "rss_after_mib": service.memory_info().rss / _MIB,
        "rss_peak_mib": _peak_bytes(service.pid) / _MIB,
    }


def _peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _expired(folder: Path) -> list[Path]:
    """Unfinished uploads, as if nobody had sent a byte since 1970."""
    left = _files(folder)
    for path in left:
        os.utime(path, (0, 0))
    return left
