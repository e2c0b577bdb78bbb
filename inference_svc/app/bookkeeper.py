"""Keeps the ledger on disk and tells the trainer, for as long as the process lives."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Protocol

from inference_svc.app.ledger_file import LedgerFile
from inference_svc.domain.ledger import Ledger, UsageEntry, UsageKey
from shared.clock import Clock
from shared.errors import DomainError, InvalidInput
from shared.names import TenantName
from shared.usage import hour_of

_log = logging.getLogger(__name__)

SAVE_SECONDS = 2.0
"""Between looks whether there is something to save. A process that is killed may lose what was counted since, and the
rest between two saves, which `Saver` makes in proportion to the last one."""
REPORT_SECONDS = 30.0
"""Between reports: a commit of the trainer's for each tenant that asked something meanwhile."""
_MAX_BACKOFF_SECONDS = 300.0
_LAST_REPORT_SECONDS = 5.0
"""For the report of a process that ends; what it does not tell, the next one does."""
MAX_REPORTED = 500
"""Entries of one report: about 60 kB."""
MAX_REFUSED_HOURS = 96
"""Until an entry that the trainer refuses is given up: as long as the ledger has room for one that is away."""
_ENTRY = re.compile(r"entries\[([0-9]{1,4})\]")
"""How a violation names an entry of a report."""


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
        self._lost = 0
        self._refused: dict[UsageKey, int] = {}
        """The hour in which an entry was refused last; in the next one it is told again, since it or the trainer may be
        another by then."""
        self._complained: dict[str, int] = {}
        """The hour in which a tenant's refusals were logged last."""

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
        hour = hour_of(self._clock.now())
        for part in _parts([each for each in self._ledger.unreported() if self._refused.get(each.key) != hour]):
            await self._hand_over(part, hour)
        self._give_up(hour)
        self._ledger.forget(hour)

    async def _hand_over(self, part: list[UsageEntry], hour: int) -> None:
        """Tells a part, without the entries that the trainer names as faulty; with none named, all of it is refused."""
        while part:
            key = part[0].key
            try:
                await self._reader.report(key.replica_id, TenantName(key.tenant), part)
            except InvalidInput as err:
                refused = _named(err, part) or part
                self._refused.update((entry.key, hour) for entry in refused)
                self._complain(key.tenant, hour, err)
                part = [entry for entry in part if entry not in refused]
            else:
                self._ledger.settle(part)
                for entry in part:
                    self._refused.pop(entry.key, None)
                return

    def _complain(self, tenant: str, hour: int, err: InvalidInput) -> None:
        if self._complained.get(tenant) != hour:
            self._complained[tenant] = hour
            _log.error("usage is refused", extra={"tenant": tenant, "detail": str(err)})

    def _give_up(self, hour: int) -> None:
        """Settles what was refused for so long that it would fill the ledger, and tells how much that is."""
        old = [each for each in self._ledger.unreported() if self._is_hopeless(each.key, hour)]
        for tenant, group in groupby(sorted(old, key=_tenant), key=_tenant):
            entries = list(group)
            requests = sum(entry.counts.answered_requests + entry.counts.failed_requests for entry in entries)
            _log.error("refused usage is given up", extra={"tenant": tenant, "requests": requests})
        self._ledger.settle(old)
        for entry in old:
            del self._refused[entry.key]

    def _is_hopeless(self, key: UsageKey, hour: int) -> bool:
        return key in self._refused and key.hour + MAX_REFUSED_HOURS < hour

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


def _tenant(entry: UsageEntry) -> str:
    return entry.key.tenant


def _named(err: InvalidInput, part: list[UsageEntry]) -> list[UsageEntry]:
    """Entries of a part that an error's violations name."""
    matches = filter(None, (_ENTRY.match(violation.path) for violation in err.violations))
    return [part[index] for index in sorted({int(match[1]) for match in matches}) if index < len(part)]


def _parts(entries: list[UsageEntry]) -> Iterator[list[UsageEntry]]:
    """By replica id and tenant; they come sorted by both."""
    for _, group in groupby(entries, key=lambda entry: (entry.key.replica_id, entry.key.tenant)):
        own = list(group)
        yield from (own[begin : begin + MAX_REPORTED] for begin in range(0, len(own), MAX_REPORTED))
