"""Keeps the ledger on disk and tells the trainer, for as long as the process lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from itertools import groupby
from typing import Protocol

from inference_svc.app.ledger_file import LedgerFile
from inference_svc.domain.ledger import Ledger, UsageEntry
from shared.clock import Clock
from shared.errors import DomainError, InvalidInput
from shared.names import TenantName
from shared.usage import hour_of

_log = logging.getLogger(__name__)

SAVE_SECONDS = 2.0
"""Between looks whether there is something to save: what a process that is killed may lose."""
REPORT_SECONDS = 30.0
"""Between reports: a commit of the trainer's for each tenant that asked something meanwhile."""
_MAX_BACKOFF_SECONDS = 300.0
_LAST_REPORT_SECONDS = 5.0
"""For the report of a process that ends; what it does not tell, the next one does."""
MAX_REPORTED = 500
"""Entries of one report: about 60 kB."""


class UsageReader(Protocol):
    """Who wants to know."""

    async def report(self, replica_id: str, parent: TenantName, entries: list[UsageEntry]) -> None:
        """Hands over at most `MAX_REPORTED` entries of one replica id and tenant, all or none; may be repeated.

        Raises `InvalidInput` for what will never be taken, and any other `DomainError` for what may be later.
        """


class Bookkeeper:
    """Saves and reports; what cannot be told now is kept and tried again, ever more slowly."""

    def __init__(
        self, *, ledger: Ledger, file: LedgerFile, reader: UsageReader, clock: Clock,
        save_seconds: float = SAVE_SECONDS, report_seconds: float = REPORT_SECONDS,
    ) -> None:  # fmt: skip
        self._ledger, self._file, self._reader, self._clock = ledger, file, reader, clock
        self._save_seconds, self._report_seconds = save_seconds, report_seconds
        self._lost, self._refused = 0, False

    def restore(self) -> None:
        """Takes up what an earlier process left."""
        self._file.restore()

    async def run(self) -> None:
        """Never returns."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._save())
            group.create_task(self._report())

    async def stop(self) -> None:
        """The last report, where somebody listens, and the last save. Comes after `run` was cancelled."""
        try:
            async with asyncio.timeout(_LAST_REPORT_SECONDS):
                await self.report()
        except (DomainError, TimeoutError) as err:
            _log.warning("the last usage was not reported: the next process does", extra={"error": type(err).__name__})
        await self._file.stop()

    async def report(self) -> None:
        """Tells all that is untold. Raises `DomainError` when the trainer is away; the rest is untold then."""
        for part in _parts(self._ledger.unreported()):
            key = part[0].key
            try:
                await self._reader.report(key.replica_id, TenantName(key.tenant), part)
            except InvalidInput as err:  # of another version, perhaps: the others must not wait for it
                if not self._refused:
                    _log.error("usage is refused", extra={"tenant": key.tenant, "detail": str(err)})
                self._refused = True
            else:
                self._ledger.settle(part)
        self._ledger.forget(hour_of(self._clock.now()))

    async def _save(self) -> None:
        while True:
            await asyncio.sleep(self._save_seconds)
            self._file.save()
            if self._ledger.lost_requests > self._lost:
                new = self._ledger.lost_requests - self._lost
                _log.error("the ledger is full: requests are not counted", extra={"requests": new})
                self._lost = self._ledger.lost_requests

    async def _report(self) -> None:
        failures = 0
        while True:
            try:
                await self.report()
            except DomainError as err:
                if failures == 0:
                    _log.warning("usage not reported, will retry", extra={"reason": err.reason, "detail": str(err)})
                failures += 1
            else:
                failures = 0
            await asyncio.sleep(min(_MAX_BACKOFF_SECONDS, self._report_seconds * 2 ** min(failures, 10)))


def _parts(entries: list[UsageEntry]) -> Iterator[list[UsageEntry]]:
    """By replica id and tenant; they come sorted by both."""
    for _, group in groupby(entries, key=lambda entry: (entry.key.replica_id, entry.key.tenant)):
        own = list(group)
        yield from (own[begin : begin + MAX_REPORTED] for begin in range(0, len(own), MAX_REPORTED))
