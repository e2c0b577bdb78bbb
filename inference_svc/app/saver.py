"""Keeps what changes often in a file, at a cost that is bounded."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from shared.files import write_atomic

_log = logging.getLogger(__name__)

_REST = 20
"""Times as long as the last save took until the next one: thousands of changes at once cost a twentieth of a core."""


class Saver:
    """Saves off the loop, one write after another, and once for many changes at a time.

    `snapshot` takes up the state of now, on the loop, and returns what makes the file's content of it, in a thread; or
    None if the file is to stay as it is. A disk that is full is logged: the file is then older than the state, and the
    state unsaved until the next `save` or `stop`.
    """

    def __init__(self, path: Path, snapshot: Callable[[], Callable[[], bytes] | None]) -> None:
        self._path, self._snapshot = path, snapshot
        self._writer = ThreadPoolExecutor(1, thread_name_prefix=path.stem)  # one: the newest state is written last
        self._unsaved = False
        self._saving: asyncio.Task[None] | None = None

    @property
    def is_unsaved(self) -> bool:
        """Whether the file lacks what was to be saved: it waits for its turn, or could not be written."""
        return self._unsaved

    def save(self) -> None:
        """Keeps the state of now before long."""
        self._unsaved = True
        if self._saving is None or self._saving.done():
            self._saving = asyncio.create_task(self._save_all())

    async def saved(self) -> None:
        """Returns when all that was to be saved is."""
        if self._saving is not None:
            await self._saving

    async def stop(self, *, even_unchanged: bool = False) -> None:
        """Keeps what was reached and is not saved yet."""
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)
        if self._unsaved or even_unchanged:
            await self._write()

    async def _save_all(self) -> None:
        while self._unsaved:
            begin = time.monotonic()
            if not await self._write():
                return  # at once it would fail again
            await asyncio.sleep(_REST * (time.monotonic() - begin))

    async def _write(self) -> bool:
        """Whether the file is as the state was when this began."""
        self._unsaved = False
        make = self._snapshot()
        if make is None:
            return True
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, lambda: write_atomic(self._path, make()))
        except OSError:
            self._unsaved = True
            _log.exception("state not saved", extra={"path": str(self._path)})
            return False
        except asyncio.CancelledError:
            self._unsaved = True
            raise
        return True
