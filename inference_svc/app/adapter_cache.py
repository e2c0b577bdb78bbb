"""Adapter packages on local disk, in folders named by digest: whole or absent, and bounded in size."""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from pathlib import Path

from shared.digest import hex_part
from shared.files import publish_folder

_SCRATCH = ".fetch-"


class AdapterCache:
    """One process owns the folder. Methods that are no coroutines block; call them off the event loop."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        for left_over in folder.glob(f"{_SCRATCH}*"):  # of a process that was killed
            shutil.rmtree(left_over, ignore_errors=True)

    def find(self, digest: str) -> Path | None:
        """Where the package lies, which counts as a use of it; None when it is not here."""
        final = self._folder / hex_part(digest)
        try:
            os.utime(final)
        except FileNotFoundError:
            return None
        return final

    @asynccontextmanager
    async def scratch(self) -> AsyncIterator[Path]:
        """A folder to fetch into, gone afterwards unless it was published.

        Made in a thread: where somebody syncs a file, making a folder may wait for the disk for half a second.
        """
        temporary = self._folder / f"{_SCRATCH}{uuid.uuid4().hex}"
        try:
            await asyncio.to_thread(temporary.mkdir, parents=True)
            yield temporary
        finally:
            await asyncio.to_thread(shutil.rmtree, temporary, ignore_errors=True)

    def publish(self, temporary: Path, digest: str) -> Path:
        """Gives a fetched and verified package its name."""
        final = self._folder / hex_part(digest)
        publish_folder(temporary, final)
        return final

    def trim(self, in_use: AbstractSet[str]) -> None:
        """Removes the packages that were used longest ago until the rest fits; never one of `in_use`.

        Those stay although they are too many: the engine may read them, and an operator sees the disk fill up.
        """
        kept = {hex_part(digest) for digest in in_use}
        packages = [path for path in self._folder.iterdir() if not path.name.startswith(".")]
        sizes = {path: sum(file.stat().st_size for file in path.iterdir()) for path in packages}
        excess = sum(sizes.values()) - self._max_bytes
        for path in sorted(packages, key=lambda path: path.stat().st_mtime_ns):
            if excess <= 0:
                return
            if path.name not in kept:
                gone = path.with_name(f"{_SCRATCH}{path.name}")
                path.rename(gone)  # at once: half a package must never have its name
                shutil.rmtree(gone, ignore_errors=True)
                excess -= sizes[path]
