"""A canary: a revision on trial beside the one that an alias points at, and what takes it back."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.errors import FieldViolation, InvalidInput
from shared.names import RevisionName


class RollbackReason(enum.StrEnum):
    """In what a canary can be worse."""

    ERROR_RATE = "error_rate"
    """Share of requests that the adapter failed."""
    FORMAT_RETRY_RATE = "format_retry_rate"
    """Share of requests that needed more than one attempt."""
    LATENCY = "latency"
    """Time of answered requests in the engine and in checks."""


@dataclass(frozen=True)
class RollbackPolicy:
    """When a canary is taken back without being asked."""

    watched: tuple[RollbackReason, ...] = tuple(RollbackReason)
    """Empty: only a caller ends the trial."""
    confidence: float = 0.99
    """1 minus the probability that a canary as good as the live revision is ever taken back, in [0.5, 0.9999]."""
    rate_margin: float = 0.01
    """By how much a rate must be higher than the live one's, a difference in [0, 1)."""
    latency_margin: float = 0.25
    """By which part of the live revision's times the canary's must be longer, in [0, 10]."""

    def violations(self, path: str) -> list[FieldViolation]:
        """What is out of its range, by field path below `path`."""
        ranges = (
            ("confidence", 0.5 <= self.confidence <= 0.9999, "must lie in [0.5, 0.9999]", self.confidence),
            ("rate_margin", 0 <= self.rate_margin < 1, "must lie in [0, 1)", self.rate_margin),
            ("latency_margin", 0 <= self.latency_margin <= 10, "must lie in [0, 10]", self.latency_margin),
        )
        return [FieldViolation(f"{path}.{name}", f"{rule}, got {value}") for name, ok, rule, value in ranges if not ok]


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Start time of a split that the registry has not seen yet."""


@dataclass(frozen=True)
class CanarySplit:
    """A share of an alias's requests goes to `revision`."""

    revision: RevisionName
    percent: int
    """Of the requests, 1 to 99."""
    policy: RollbackPolicy = field(default_factory=RollbackPolicy)
    start_time: datetime = EPOCH
    """When this trial, of this revision beside the alias's own, began; with the revision it tells trials apart."""

    def check(self, alias_revision: RevisionName, path: str = "alias.canary") -> None:
        """Raises `InvalidInput` (FIELD_INVALID) with every fault of a split of requests for `alias_revision`."""
        found = self.policy.violations(f"{path}.rollback_policy")
        if not 1 <= self.percent <= 99:
            found.append(FieldViolation(f"{path}.percent", f"must lie in 1..99, got {self.percent}"))
        if self.revision.adapter_name != alias_revision.adapter_name:
            found.append(FieldViolation(f"{path}.revision", f"is not a revision of {alias_revision.adapter_name}"))
        if self.revision == alias_revision:
            found.append(FieldViolation(f"{path}.revision", "is the alias's own revision: there is nothing to compare"))
        if found:
            raise InvalidInput(
                "FIELD_INVALID",
                "; ".join(f"{violation.path}: {violation.description}" for violation in found),
                hint="a canary is another revision of the same adapter; to promote it, set it as the alias's revision",
                violations=found,
            )


@dataclass(frozen=True)
class CanaryRollback:
    """A canary that was taken back because it was worse."""

    revision: RevisionName
    reason: RollbackReason
    description: str
    """The figures behind it."""
    time: datetime
