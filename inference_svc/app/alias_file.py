"""The file that keeps what aliases mean across restarts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from inference_svc.app.saver import Saver
from inference_svc.domain.residency import Resident
from shared.names import AliasName, RevisionName


@dataclass(frozen=True)
class SavedAlias:
    """What an alias served last."""

    alias: AliasName
    revision: RevisionName
    digest: str


class AliasFile:
    """Saved as `Saver` does. `serving` tells what each alias serves now."""

    def __init__(self, path: Path, serving: Callable[[], list[tuple[AliasName, Resident]]]) -> None:
        self._path, self._serving = path, serving
        self._saver = Saver(path, self._snapshot)

    def read(self) -> Iterator[SavedAlias]:
        """What was saved last, the warmest first; nothing where there is no file."""
        if not self._path.is_file():
            return
        for alias, entry in json.loads(self._path.read_bytes()).items():
            yield SavedAlias(AliasName.parse(alias), RevisionName.parse(entry["revision"]), entry["digest"])

    def save(self) -> None:
        """Keeps the state of now before long."""
        self._saver.save()

    async def saved(self) -> None:
        """Returns when all that was to be saved is."""
        await self._saver.saved()

    async def stop(self) -> None:
        """Keeps what was reached, the order of now included."""
        await self._saver.stop(even_unchanged=True)

    def _snapshot(self) -> Callable[[], bytes] | None:
        """What each alias serves, the warmest first; nothing while none does, lest a file of before is lost."""
        state = self._serving()

        def make() -> bytes:
            state.sort(key=lambda entry: -entry[1].warmth)
            body = {str(alias): {"revision": str(r.revision), "digest": r.digest} for alias, r in state}
            return json.dumps(body, indent=1).encode()

        return make if state else None
