"""The one way by which aliases move: checked by the adapter's policy where that is asked, and always recorded.

Every function works inside the caller's transaction, so that a move without its entry, or an entry without its move,
cannot be.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime

from sqlalchemy import Connection

from shared.adapter.canary import CanaryRollback, CanarySplit
from shared.names import AliasName, RevisionName
from trainer_svc.app.live_comparison import LiveComparison
from trainer_svc.domain.evidence import Evidence
from trainer_svc.domain.promotion import PromotionReport, check
from trainer_svc.domain.promotion_record import Cause, Promotion
from trainer_svc.domain.registry import Alias, Revision
from trainer_svc.store import promotion_log, shelf


@dataclasses.dataclass(frozen=True)
class Target:
    """What an alias shall mean."""

    revision: RevisionName
    canary: CanarySplit | None = None

    def arrivals(self, before: Alias | None) -> list[RevisionName]:
        """Revisions that would take a place at the alias that they do not have, its own before its canary's."""
        live = before.revision if before is not None else ""
        on_trial = str(before.canary.revision) if before is not None and before.canary is not None else ""
        found = [self.revision] if str(self.revision) != live else []
        if self.canary is not None and str(self.canary.revision) not in (live, on_trial):
            found.append(self.canary.revision)
        return found


class PromotionGate:
    """Reports on revisions, moves aliases, and writes down each move."""

    def __init__(self, comparison: LiveComparison) -> None:
        self._comparison = comparison

    def report(self, connection: Connection, revision: Revision, alias: AliasName) -> PromotionReport:
        """The revision by the policy of its adapter, held against what the alias means now."""
        policy = promotion_log.get_policy(connection, alias.adapter_name).policy
        now = shelf.find_alias(connection, alias)
        live = now.revision if now is not None and now.revision != revision.name else ""
        return check(policy, self._evidence_against(connection, revision, live), live)

    def _evidence_against(self, connection: Connection, revision: Revision, live: str) -> Evidence | None:
        evidence = revision.evidence
        if evidence is None or not live or evidence.live_revision == live:
            return evidence
        found = self._comparison.compare(revision, shelf.get_revision(connection, RevisionName.parse(live)))
        return dataclasses.replace(evidence, live_revision=live, against_live=found or ())

    def move(
        self, connection: Connection, name: AliasName, target: Target, etag: str, *, cause: Cause, now: datetime
    ) -> Alias:
        """Moves an alias as `shelf.set_alias` does, and raises as that; what changes nothing leaves no entry."""
        before = shelf.find_alias(connection, name)
        alias = shelf.set_alias(connection, name, target.revision, etag, now, canary=target.canary)
        if before is None or alias.version != before.version:
            subject = shelf.get_revision(connection, next(iter(target.arrivals(before)), target.revision))
            promotion_log.add_promotion(connection, Promotion.of(before, alias, cause, subject))
        return alias

    def roll_back_canary(
        self, connection: Connection, name: AliasName, rollback: CanaryRollback, *, trial_start: datetime, cause: Cause
    ) -> tuple[Alias, bool]:
        """Ends a trial as `shelf.roll_back_canary` does."""
        before = shelf.find_alias(connection, name)
        alias, ended = shelf.roll_back_canary(connection, name, rollback, trial_start)
        if ended:
            subject = shelf.get_revision(connection, rollback.revision)
            promotion_log.add_promotion(connection, Promotion.of(before, alias, cause, subject))
        return alias, ended
