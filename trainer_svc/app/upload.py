"""Bytes of an upload on disk: append-only, so that what is there is always a prefix of what was sent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from shared.digest import sha256_bytes, sha256_file
from shared.errors import Conflict, Exhausted, OutOfRange
from shared.names import DatasetName
from shared.storage.local import disk_errors

MAX_BYTES = 64 << 20
"""Ten thousand rows of the largest size allowed; golden datasets have 500 to 5,000 small ones."""

_SUFFIX, _ANSWERS_SUFFIX = ".upload", ".answers"


class Uploads:
    """One file a dataset, below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def size(self, name: DatasetName) -> int:
        """Bytes stored so far."""
        path = self._path(name)
        return path.stat().st_size if path.is_file() else 0

    @property
    def scratch(self) -> Path:
        """A folder for what is needed while an upload is read; no tenant has its name."""
        return self._folder / ".scratch"

    def path(self, name: DatasetName) -> Path:
        """The file with all bytes; made if none came."""
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path

    def answers(self, name: DatasetName) -> Path:
        """The file for a teacher's answers; perhaps not there yet."""
        return self.path(name).with_suffix(_ANSWERS_SUFFIX)

    def digest(self, name: DatasetName) -> str:
        """Over all bytes."""
        path = self._path(name)
        return sha256_file(path) if path.is_file() else sha256_bytes(b"")

    def last_write(self, name: DatasetName) -> datetime | None:
        """When the last byte came, if any did."""
        path = self._path(name)
        return datetime.fromtimestamp(path.stat().st_mtime, UTC) if path.is_file() else None

    def stored(self) -> Iterator[DatasetName]:
        """Datasets with bytes here."""
        for path in self._folder.glob(f"*/*{_SUFFIX}"):
            yield DatasetName(path.parent.name, path.name.removesuffix(_SUFFIX))

    def remove(self, name: DatasetName) -> None:
        """Removes the bytes, and answers of a teacher, if there are any."""
        self._path(name).with_suffix(_ANSWERS_SUFFIX).unlink(missing_ok=True)  # first: leftovers are found by the bytes
        self._path(name).unlink(missing_ok=True)

    def clear_scratch(self) -> None:
        """Removes what a killed process left; for the start of the service, while nothing is read."""
        shutil.rmtree(self.scratch, ignore_errors=True)

    def write(self, name: DatasetName, offset: int, data: bytes) -> int:
        """Stores bytes at an offset, durably; returns the next offset. Bytes that are there already may be repeated.

        Raises:
            OutOfRange: OFFSET_GAP, with `next_offset`.
            Conflict: CONTENT_MISMATCH when other bytes are there.
            Exhausted: QUOTA_EXCEEDED above the size limit, or on a full disk.
        """
        path, size = self._path(name), self.size(name)
        if not 0 <= offset <= size:
            raise OutOfRange(
                "OFFSET_GAP", f"offset is {offset}, {size} bytes are stored", metadata={"next_offset": str(size)}
            )
        if offset + len(data) > MAX_BYTES:
            raise Exhausted("QUOTA_EXCEEDED", f"an upload holds at most {MAX_BYTES} bytes")
        path.parent.mkdir(parents=True, exist_ok=True)
        with disk_errors(), path.open("ab+") as file:
            file.seek(offset)
            overlap = file.read(len(data))
            if overlap != data[: len(overlap)]:
                raise Conflict(
                    "CONTENT_MISMATCH", f"other bytes are stored between {offset} and {offset + len(overlap)}"
                )
            try:
                file.write(data[len(overlap) :])
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise
        return max(size, offset + len(data))

    def _path(self, name: DatasetName) -> Path:
        return self._folder / name.tenant / f"{name.id}{_SUFFIX}"
