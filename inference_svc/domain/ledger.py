"""The ledger of one replica: absolute counters by tenant, adapter revision and hour, until the trainer has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from shared.usage import UsageCounts

MAX_ENTRIES = 20_000
"""Some 200 adapters with requests in each hour of the four days that a trainer may be away; about 10 MB in memory."""


@dataclass(frozen=True, slots=True, order=True)
class UsageKey:
    """What is counted together. The base model without an adapter has an empty `adapter` and revision 0."""

    replica_id: str
    """Who began to count at 0: a UUID4, of a process and not of a machine."""
    tenant: str
    adapter: str
    revision: int
    hour: int
    """Hours since 1970, UTC."""


@dataclass(frozen=True, slots=True)
class UsageEntry:
    """One line of the ledger. Of two with the same key the one with the higher sequence holds, and includes the other.

    So a report may come twice, late or not at all, and everything is counted once.
    """

    key: UsageKey
    sequence: int
    counts: UsageCounts


class Ledger:
    """Counts under ids of `new_id`. What an earlier process left is kept, and never added to."""

    def __init__(self, new_id: Callable[[], str], *, max_entries: int = MAX_ENTRIES) -> None:
        self._new_id, self._max_entries = new_id, max_entries
        self._replica_id, self._closed_hour = new_id(), -1
        self._entries: dict[UsageKey, UsageEntry] = {}
        self._unreported: set[UsageKey] = set()
        self.sequence = 0
        """Grows with each change."""
        self.lost_requests = 0
        """That were not counted, since there was no room."""

    def take_up(self, entries: Iterable[UsageEntry]) -> None:
        """What an earlier process counted; all of it is reported once more."""
        for entry in entries:
            self._entries[entry.key] = entry
            self._unreported.add(entry.key)

    def count(self, key: UsageKey, counts: UsageCounts) -> None:
        """Adds a request's counts; the key's `replica_id` is the ledger's business, and left empty."""
        if key.hour <= self._closed_hour:
            # The clock was set back into hours whose entries are gone: counters that begin at 0 again need a new id.
            self._replica_id, self._closed_hour = self._new_id(), -1
        own = UsageKey(self._replica_id, key.tenant, key.adapter, key.revision, key.hour)
        before = self._entries.get(own)
        if before is None and len(self._entries) >= self._max_entries:
            self.lost_requests += 1
            return
        self.sequence += 1
        self._entries[own] = UsageEntry(own, self.sequence, before.counts + counts if before else counts)
        self._unreported.add(own)

    def entries(self) -> list[UsageEntry]:
        """All that are kept."""
        return list(self._entries.values())

    def unreported(self) -> list[UsageEntry]:
        """Those that changed since they were settled, by key."""
        return [self._entries[key] for key in sorted(self._unreported)]

    def settle(self, reported: Iterable[UsageEntry]) -> None:
        """These have arrived, as they are here; one that has changed meanwhile is reported again."""
        for entry in reported:
            if self._entries.get(entry.key) == entry:
                self._unreported.discard(entry.key)

    def forget(self, hour: int) -> None:
        """Drops what has arrived and cannot change any more; it is `hour` now."""
        for key in [key for key in self._entries if key not in self._unreported and self._is_over(key, hour)]:
            del self._entries[key]
            self.sequence += 1
            if key.replica_id == self._replica_id:
                self._closed_hour = max(self._closed_hour, key.hour)

    def _is_over(self, key: UsageKey, hour: int) -> bool:
        return key.replica_id != self._replica_id or key.hour < hour
