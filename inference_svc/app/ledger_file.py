"""The file that keeps the ledger across restarts."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path

from inference_svc.app.saver import Saver
from inference_svc.domain.ledger import Ledger, UsageEntry, UsageKey
from shared.usage import UsageCounts

_log = logging.getLogger(__name__)

_VERSION = 1


class LedgerFile:
    """Saved as `Saver` does, each time whole: it is never half written."""

    def __init__(self, path: Path, ledger: Ledger) -> None:
        self._path, self._ledger = path, ledger
        self._saver = Saver(path, self._snapshot)
        self._taken = ledger.sequence
        """The ledger's, when it was last taken up to be saved; whether that arrived is for the saver to say."""

    def restore(self) -> None:
        """Takes up what an earlier process left. A file that is none of ours is kept aside and logged.

        Requests must be answered whatever became of the ledger.
        """
        if not self._path.is_file():
            return
        try:
            entries = _parse(self._path.read_bytes())
        except (ValueError, KeyError, TypeError):
            aside = self._path.with_suffix(".unread")
            self._path.replace(aside)
            _log.exception("the ledger cannot be read: what it held is not reported", extra={"path": str(aside)})
            return
        self._ledger.take_up(entries)

    def save(self) -> None:
        """Keeps the ledger of now before long, if it has changed."""
        if self._ledger.sequence != self._taken or self._saver.is_unsaved:
            self._saver.save()

    async def stop(self) -> None:
        """Keeps the ledger of now."""
        await self._saver.stop(even_unchanged=self._ledger.sequence != self._taken)

    def _snapshot(self) -> Callable[[], bytes]:
        self._taken, entries = self._ledger.sequence, self._ledger.entries()
        return lambda: _dump(entries)


def _dump(entries: list[UsageEntry]) -> bytes:
    # Entry by entry: as one call, a full ledger would hold every other thread up for a tenth of a second.
    lines = ", ".join(json.dumps(dataclasses.asdict(entry)) for entry in entries)
    return f'{{"version": {_VERSION}, "entries": [{lines}]}}'.encode()


def _parse(data: bytes) -> list[UsageEntry]:
    body = json.loads(data)
    if body["version"] != _VERSION:
        raise ValueError(f"version {body['version']}")
    return [
        UsageEntry(UsageKey(**line["key"]), int(line["sequence"]), UsageCounts(**line["counts"]))
        for line in body["entries"]
    ]
