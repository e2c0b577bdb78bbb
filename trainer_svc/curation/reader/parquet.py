"""Parquet, whose reader is native code: hostile bytes are read in a process that may be killed."""

from __future__ import annotations

import dataclasses
import errno
import json
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.child import EXIT_REFUSED, Ended, run_child
from shared.storage.local import disk_errors
from trainer_svc.curation.reader.parquet_worker import EXIT_DISK_FULL
from trainer_svc.curation.reader.row import FileFault, Row, RowFault

_WORKER = "trainer_svc.curation.reader.parquet_worker"
_PLACES = threading.BoundedSemaphore(2)
"""Files at a time in this process, as each may take a GiB."""
_SMALLER = "write it with smaller pages and row groups, or send JSON Lines"


@dataclass(frozen=True)
class ParquetLimits:
    """What the reading of one file may use; more is refused with FILE_TOO_LARGE."""

    wall_seconds: float = 60.0
    """For machines that are busy with other work."""
    cpu_seconds: int = 20
    memory_bytes: int = 1 << 30
    """Of address space, that of the libraries included."""
    rows_bytes: int = 128 << 20
    """Of rows as JSON: an upload of 64 MiB of text, in which every second character is an escape."""


def read_parquet(file: Path, scratch: Path, limits: ParquetLimits | None = None) -> Iterator[Row | RowFault]:
    """Rows by their number from 1; `scratch` is a folder for the time of reading.

    Raises:
        FileFault: FILE_UNREADABLE or FILE_TOO_LARGE.
    """
    allowed = limits or ParquetLimits()
    scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=scratch) as folder:
        rows_file = Path(folder) / "rows"
        with disk_errors():
            _convert(file, rows_file, allowed)
        with rows_file.open("rb") as lines:
            yield from map(_parse, lines)


def _convert(file: Path, rows_file: Path, limits: ParquetLimits) -> None:
    order = dataclasses.asdict(limits) | {"file": str(file.resolve()), "rows_file": str(rows_file.resolve())}
    # Other allocators reserve more address space than they use.
    environment = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1"}
    try:
        with _PLACES:
            ended = run_child(
                _WORKER, json.dumps(order).encode(), wall_seconds=limits.wall_seconds, environment=environment
            )
    except TimeoutError as err:
        raise FileFault("FILE_TOO_LARGE", f"takes more than {limits.wall_seconds:g} s to read: {_SMALLER}") from err
    _judge(ended, limits)


def _judge(ended: Ended, limits: ParquetLimits) -> None:
    if ended.status == 0:
        return
    if ended.status == EXIT_REFUSED:
        raise FileFault(*json.loads(ended.output))
    if ended.status == EXIT_DISK_FULL:
        raise OSError(errno.ENOSPC, "the disk is full")
    if ended.is_out_of_memory and ended.status != -signal.SIGSEGV:
        message = f"takes more than {limits.memory_bytes >> 20} MiB of memory to read: {_SMALLER}"
        raise FileFault("FILE_TOO_LARGE", message)
    if ended.is_out_of_time:
        message = f"takes more than {limits.cpu_seconds} s of processor time to read: {_SMALLER}"
        raise FileFault("FILE_TOO_LARGE", message)
    message = f"ended its reader with status {ended.status}: {ended.last_error[:200]}; write it again"
    raise FileFault("FILE_UNREADABLE", message)


def _parse(line: bytes) -> Row | RowFault:
    number, *rest = json.loads(line)
    return RowFault(number, *rest) if len(rest) == 3 else Row(number, rest[0])  # reason, field, message
