"""How much memory a new process of this machine could take."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil

_GROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def free_bytes(groups: Path = _GROUPS, own: Path = _OWN) -> int:
    """The machine's, or what the limits of the service's control group and its parents leave where that is less.

    Of control groups version 2, as containers have them.
    """
    return min([int(psutil.virtual_memory().available), *_left(groups, own)])


def _left(groups: Path, own: Path) -> Iterator[int]:
    """Memory under each limit; a file cache counts as free, since the kernel gives it up."""
    lines = own.read_text().splitlines() if own.is_file() else []
    place = next((line.removeprefix("0::").lstrip("/") for line in lines if line.startswith("0::")), None)
    if place is None:
        return
    for folder in (groups / place, *(groups / place).parents):
        with contextlib.suppress(OSError, ValueError):  # no such file, or no limit: "max"
            limit = int((folder / "memory.max").read_text())
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            yield limit - int((folder / "memory.current").read_text()) + int(stat["inactive_file"])
        if folder == groups:
            return
