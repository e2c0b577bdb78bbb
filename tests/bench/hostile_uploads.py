"""Every hostile upload against a trainer in a process of its own: answers, memory and disk.

`hostile_breaches` counts the bounds that did not hold: memory of the service and its children at its highest, what of
it was kept, and files of the data folder that no accepted dataset holds after a kill and a start.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from deploy.quickstart.service_process import ServiceProcess
from tests.bench.result import Figures, report
from tests.conftest import write_tiny_base
from tests.hostile_upload import call, columns, comma_separated, json_lines
from tests.hostile_upload.attack import Attack, Room
from tests.hostile_upload.footprint import MIB, Memory, files, unowned

_WARM = 20
"""Attacks before memory is measured first; they are tried again."""
_GROWTH_MIB = 800
"""Above the beginning, children counted: one that reads Parquet may address a GiB, and took 500 to 640 of the bombs'
1,200 MiB (2026-11)."""
_SERVICE_GROWTH_MIB = 128
"""Of the service alone, which holds one upload of 64 MiB now and then."""
_KEPT_MIB = 64
""""Flat", but for what an allocator keeps: 43 measured."""


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
    data = folder / "data"
    flags = {"data-dir": str(data), "base-model-dir": str(folder / "base"), "listen": "127.0.0.1:0"}
    with ServiceProcess("trainer_svc", flags | {"insecure-loopback": "true"}, folder / "log") as process:
        room = Room(process.wait_ready(60))
        before = files(data)
        figures = _try_all(room, process.process.pid)
        room.close()
        process.kill()
        for path in files(data / "uploads"):  # unfinished, as if nobody had sent a byte since 1970
            os.utime(path, (0, 0))
        process.start()
        process.wait_ready(60)
        left = unowned(data, before)
    for path in sorted(left):
        print(f"left on disk: {path.relative_to(data)}")  # noqa: T201  # for who runs it
    figures["hostile_files_left"] = len(left)
    bounds = (
        figures["hostile_memory_growth_mib"] > _GROWTH_MIB,
        figures["hostile_service_growth_mib"] > _SERVICE_GROWTH_MIB,
        figures["hostile_memory_kept_mib"] > _KEPT_MIB,
        bool(left),
    )
    return figures | {"hostile_breaches": sum(bounds)}


def _try_all(room: Room, pid: int) -> Figures:
    attacks = list(_attacks())
    for attack in attacks[:_WARM]:
        attack.outcome(room)
    wrong = 0
    start, slowest, largest = time.monotonic(), (0.0, ""), ""
    with Memory(pid) as memory:
        for attack in attacks:
            began, peak = time.monotonic(), memory.peak
            outcome = attack.outcome(room)
            slowest = max(slowest, (time.monotonic() - began, attack.name))
            largest = attack.name if memory.peak > peak else largest
            if outcome != attack.expected:
                wrong += 1
                print(f"{attack.name}: {outcome}, expected {attack.expected}")  # noqa: T201  # for who runs it
    return {
        "hostile_uploads": len(attacks),
        "hostile_wrong_status": wrong,
        "hostile_memory_growth_mib": memory.growth_mib,
        "hostile_service_growth_mib": memory.service_growth_mib,
        "hostile_memory_largest": largest,
        "hostile_memory_kept_mib": memory.kept_mib,
        "hostile_memory_before_mib": memory.before / MIB,
        "hostile_seconds": time.monotonic() - start,
        "hostile_slowest_seconds": slowest[0],
        "hostile_slowest": slowest[1],
    }


if __name__ == "__main__":
    main()
