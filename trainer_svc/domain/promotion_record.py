"""The audit record of an alias: who moved it by what way, from where, and what was known then."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from trainer_svc.domain.promotion import PromotionReport
from trainer_svc.domain.registry import Alias, Revision

MAX_REASON_CHARACTERS = 1_000


class PromotionWay(enum.StrEnum):
    """How an alias came to move, or its canary to begin, change or end."""

    PROMOTE_REVISION = "promote_revision"
    ROLL_BACK_ALIAS = "roll_back_alias"
    SET_ALIAS = "set_alias"
    ROLL_BACK_CANARY = "roll_back_canary"
    TRAINING_JOB = "training_job"
    EARLIER = "earlier"
    """Before the record was kept: neither who nor why is known."""


@dataclass(frozen=True)
class Actor:
    """Who moved it: a caller or a training job; all is empty for what came before the record was kept."""

    subject: str = ""
    """The caller, in the words of whoever issued the credential; a replica's for what it took back."""
    roles: tuple[str, ...] = ()
    job: str = ""
    """The line of the audit log about its creation says who wanted it."""


@dataclass(frozen=True)
class Cause:
    """Why an alias moves."""

    way: PromotionWay
    actor: Actor
    reason: str = ""
    """In the caller's words, or the figures of a canary that was worse."""
    report: PromotionReport | None = None
    """On the revision that moved in, where it was checked."""
    is_override: bool = False
    """Whether it moved although the report stops it."""


@dataclass(frozen=True)
class Promotion:
    """One entry; entries are never changed. Revisions are full names, empty for none."""

    number: int
    """1, 2, 3 ... per adapter."""
    alias: str
    time: datetime
    cause: Cause
    from_revision: str
    to_revision: str
    from_canary: str = ""
    to_canary: str = ""
    to_canary_percent: int = 0
    measures: Mapping[str, float] = field(default_factory=dict)
    """Of the revision that moved in, or of the canary that was taken back."""

    @classmethod
    def of(cls, before: Alias | None, after: Alias, cause: Cause, subject: Revision) -> Promotion:
        """The entry of a move, its number still open; `subject` is the revision that it is about."""
        canary = after.canary
        return cls(
            number=0,
            alias=after.name,
            time=after.update_time,
            cause=cause,
            from_revision=before.revision if before is not None else "",
            to_revision=after.revision,
            from_canary=str(before.canary.revision) if before is not None and before.canary is not None else "",
            to_canary=str(canary.revision) if canary is not None else "",
            to_canary_percent=canary.percent if canary is not None else 0,
            measures=key_figures(subject),
        )


def key_figures(revision: Revision) -> dict[str, float]:
    """What was measured of a revision, without intervals."""
    if revision.evidence is None:
        return dict(revision.metrics)
    return {name: measure.value for name, measure in revision.evidence.measures.items()}


def revision_before(moves: Iterable[tuple[PromotionWay, str]]) -> str:
    """The revision to roll back to: what the alias meant before it came to mean the present one; empty for none.

    `moves` are way and new revision, oldest first. A roll back takes the latest revision away, so that another one goes
    a further step back and not forward again.
    """
    meant: list[str] = []
    for way, revision in moves:
        if way is PromotionWay.ROLL_BACK_ALIAS and len(meant) > 1:
            meant.pop()
        elif not meant or meant[-1] != revision:
            meant.append(revision)
    return meant[-2] if len(meant) > 1 else ""
