"""The ledger of all replicas: what they report, what is believed, and how it is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import FieldViolation, InvalidInput
from shared.names import invalid_field
from shared.usage import COUNTERS, SIGNED_COUNTERS, UsageCounts

MAX_ENTRIES = 1_000
"""Of one report: one transaction of some 50 ms."""
MAX_COUNT = 10**13
"""Of any counter in one hour of one replica: twice the microseconds that a thousand requests wait in it. Nine hundred
thousand such rows still add up below 2**63."""
MAX_HOUR = 70_389_527
"""The last of the year 9999."""


@dataclass(frozen=True)
class ReportedUsage:
    """What one replica counted for one adapter revision in one hour; see `UsageEntry` of the contract."""

    adapter: str
    """Empty for the base model without an adapter; `revision` is 0 then."""
    revision: int
    hour: int
    """Since 1970, UTC."""
    sequence: int
    counts: UsageCounts


@dataclass(frozen=True)
class UsagePeriod:
    """Hours since 1970, UTC; None is open."""

    first: int | None = None
    end: int | None = None
    """The first hour after it."""


@dataclass(frozen=True)
class UsageSum:
    """What all replicas counted for one adapter revision from an hour on, for an hour or a day."""

    hour: int
    adapter: str
    revision: int
    counts: UsageCounts


def check_report_size(count: int) -> None:
    """Raises `InvalidInput` for a report of so many entries, before any time is spent on them."""
    if not 1 <= count <= MAX_ENTRIES:
        raise invalid_field("entries", f"must be 1 to {MAX_ENTRIES:,}, got {count:,}")


def check_report(entries: Sequence[ReportedUsage]) -> None:
    """Raises `InvalidInput` naming every entry that no replica counts."""
    violations = [fault for index, entry in enumerate(entries) for fault in _faults(f"entries[{index}]", entry)]
    seen: set[tuple[str, int, int]] = set()
    for index, entry in enumerate(entries):
        key = (entry.adapter, entry.revision, entry.hour)
        if key in seen:
            violations.append(FieldViolation(f"entries[{index}]", "is a second one of its revision and hour"))
        seen.add(key)
    if violations:
        first = violations[0]
        raise InvalidInput("FIELD_INVALID", f"{first.path}: {first.description}", violations=violations)


def _faults(path: str, entry: ReportedUsage) -> list[FieldViolation]:
    faults = []
    if (entry.revision == 0) != (entry.adapter == "") or not 0 <= entry.revision < 10**9:
        faults.append((f"{path}.revision_number", "must be from 1 with an adapter, and 0 without"))
    if not 0 <= entry.hour <= MAX_HOUR:
        faults.append((f"{path}.hour_time", "must be of the years 1970 to 9999"))
    if entry.sequence < 1:
        faults.append((f"{path}.sequence", f"must be from 1, got {entry.sequence}"))
    for name in COUNTERS:
        count, least = getattr(entry.counts, name), -MAX_COUNT if name in SIGNED_COUNTERS else 0
        if not least <= count <= MAX_COUNT:
            faults.append((f"{path}.counts", f"{name} must be {least:,} to {MAX_COUNT:,}, got {count:,}"))
    if entry.counts.cached_prompt_tokens > entry.counts.prompt_tokens:
        faults.append((f"{path}.counts", "has more cached prompt tokens than prompt tokens"))
    return [FieldViolation(place, text) for place, text in faults]
