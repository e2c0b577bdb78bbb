"""The file that keeps what aliases mean across restarts."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from inference_svc.domain.residency import Resident
from shared.files import write_atomic
from shared.names import AliasName, RevisionName

_log = logging.getLogger(__name__)

_SAVE_REST = 20
"""Times as long as the last save took until the next one: thousands of flips at once cost a twentieth of a core."""


@dataclass(frozen=True)
class SavedAlias:
    """What an alias served last."""

    alias: AliasName
    revision: RevisionName
    digest: str


class AliasFile:
    """Saves off the loop, one write after another, and once for many flips at a time.

    `serving` tells what each alias serves now.
    """

    def __init__(self, path: Path, serving: Callable[[], list[tuple[AliasName, Resident]]]) -> None:
        self._path, self._serving = path, serving
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="aliases")  # one: the newest state is written last
        self._unsaved = False
        self._saving: asyncio.Task[None] | None = None

    def read(self) -> Iterator[SavedAlias]:
        """What was saved last, the warmest first; nothing where there is no file."""
        if not self._path.is_file():
            return
        for alias, entry in json.loads(self._path.read_bytes()).items():
            yield SavedAlias(AliasName.parse(alias), RevisionName.parse(entry["revision"]), entry["digest"])

    def save(self) -> None:
        """Keeps the state of now before long."""
        self._unsaved = True
        if self._saving is None or self._saving.done():
            self._saving = asyncio.create_task(self._save_all())

    async def saved(self) -> None:
        """Returns when all that was to be saved is."""
        if self._saving is not None:
            await self._saving

    async def stop(self) -> None:
        """Keeps what was reached."""
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)
        await self._write()

    async def _save_all(self) -> None:
        while self._unsaved:
            self._unsaved = False
            begin = time.monotonic()
            await self._write()
            await asyncio.sleep(_SAVE_REST * (time.monotonic() - begin))

    async def _write(self) -> None:
        """Keeps what each alias serves, the warmest first; nothing while none does, lest a file of before is lost."""
        state = self._serving()
        if not state:
            return

        def write() -> None:
            state.sort(key=lambda entry: -entry[1].warmth)
            body = {str(alias): {"revision": str(r.revision), "digest": r.digest} for alias, r in state}
            write_atomic(self._path, json.dumps(body, indent=1).encode())

        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, write)
        except OSError:
            _log.exception("aliases not saved", extra={"path": str(self._path)})
