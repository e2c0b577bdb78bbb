"""Who hears of usage in place of the trainer."""

from __future__ import annotations

from dataclasses import dataclass, field

from inference_svc.domain.ledger import UsageEntry
from shared.errors import FieldViolation, InvalidInput, Unavailable
from shared.names import TenantName


@dataclass
class FakeReader:
    """Implements `UsageReader`; `away` answers nobody, `refusing` takes nothing of these tenants.

    `faulty` are numbers of revisions whose entries it refuses by name.
    """

    away: bool = False
    refusing: set[str] = field(default_factory=set)
    faulty: set[int] = field(default_factory=set)
    reports: list[tuple[str, str, list[UsageEntry]]] = field(default_factory=list)
    asked: int = 0

    async def report(self, replica_id: str, parent: TenantName, entries: list[UsageEntry]) -> None:
        """Keeps it."""
        self.asked += 1
        if self.away:
            raise Unavailable("NOT_SERVING", "the trainer is away")
        if parent.tenant in self.refusing:
            raise InvalidInput("FIELD_INVALID", "no such counter")
        places = [index for index, entry in enumerate(entries) if entry.key.revision in self.faulty]
        if places:
            violations = [FieldViolation(f"entries[{index}].counts", "is negative") for index in places]
            raise InvalidInput("FIELD_INVALID", "entries", violations=violations)
        self.reports.append((replica_id, parent.tenant, entries))
