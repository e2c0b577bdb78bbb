"""Promotion as its caller sees it: policies, checks, promotions, roll backs and their record."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from sqlalchemy import Connection

from shared.adapter.canary import CanarySplit, RollbackPolicy
from shared.changes import Changes
from shared.clock import Clock
from shared.errors import Conflict, StateConflict
from shared.names import AdapterName, AliasName, RevisionName, absent, invalid_field
from shared.rpc.page import Page
from trainer_svc.app.promotion_gate import PromotionGate, Target
from trainer_svc.domain.promotion import PromotionReport, refusal
from trainer_svc.domain.promotion_policy import AdapterPolicy, PromotionPolicy
from trainer_svc.domain.promotion_record import (
    MAX_REASON_CHARACTERS,
    Actor,
    Cause,
    Promotion,
    PromotionWay,
    revision_before,
)
from trainer_svc.domain.registry import Alias
from trainer_svc.store import promotion_log, shelf
from trainer_svc.store.database import Database


@dataclasses.dataclass(frozen=True)
class PromotionWish:
    """What a caller wants of PromoteRevision."""

    revision: RevisionName
    alias_id: str
    etag: str
    """Of the alias as the caller saw it; empty: there was none."""
    canary_percent: int | None
    """None: the alias shall mean the revision; else it gets this share of the requests, beside the present one."""
    rollback: RollbackPolicy
    reason: str
    is_override: bool

    @property
    def alias(self) -> AliasName:
        """The alias to move."""
        return AliasName(self.revision.tenant, self.revision.adapter, self.alias_id)


class Promotions:
    """Moves aliases by their adapter's policy."""

    def __init__(self, database: Database, changes: Changes, clock: Clock, gate: PromotionGate) -> None:
        self._database, self._changes, self._clock, self._gate = database, changes, clock, gate

    async def policy(self, adapter: AdapterName) -> AdapterPolicy:
        """The policy of an adapter, be it there or not; the default where none was stored."""
        return await self._database.run(lambda c: promotion_log.get_policy(c, adapter))

    async def update_policy(self, adapter: AdapterName, policy: PromotionPolicy, etag: str) -> AdapterPolicy:
        """Replaces the policy. Raises `InvalidInput`, `Conflict`."""
        policy.check_ranges()
        wanted = AdapterPolicy(policy, update_time=self._clock.now())
        return await self._database.run(lambda c: promotion_log.save_policy(c, adapter, wanted, etag))

    async def check(self, revision: RevisionName, alias_id: str) -> PromotionReport:
        """What PromoteRevision would be held to now. Raises `NotFound`."""
        alias = AliasName(revision.tenant, revision.adapter, alias_id)
        return await self._database.run(lambda c: self._gate.report(c, shelf.get_revision(c, revision), alias))

    async def promote(self, wish: PromotionWish, actor: Actor) -> Alias:
        """Moves the alias, or sets its canary.

        Raises:
            InvalidInput: a field is out of its range, or an override has no reason.
            NotFound: the revision does not exist.
            Conflict: ETAG_MISMATCH.
            StateConflict: PROMOTION_REFUSED, or STATE_CONFLICT for a canary beside nothing.
        """
        _check_reason(wish.reason, is_required=wish.is_override)

        def work(connection: Connection) -> Alias:
            before = shelf.find_alias(connection, wish.alias)
            target = _target_of(wish, before)
            if before is not None and _is_repeat(before, wish.etag) and _is_as_wanted(before, target):
                return before
            _check_etag(wish.alias, before, wish.etag)
            revision = shelf.get_revision(connection, wish.revision)
            report = self._gate.report(connection, revision, wish.alias)
            is_known = promotion_log.was_meant(connection, wish.alias, wish.revision)
            if not (report.passed or wish.is_override or is_known):
                raise refusal(revision.name, report, "override with a reason promotes it all the same")
            cause = Cause(
                PromotionWay.PROMOTE_REVISION, actor, wish.reason, report,
                is_override=wish.is_override and not report.passed,
            )  # fmt: skip
            return self._gate.move(connection, wish.alias, target, "", cause=cause, now=self._clock.now())

        return await self._moved(work)

    async def roll_back(self, name: AliasName, etag: str, reason: str, actor: Actor) -> Alias:
        """Moves the alias back to the revision that it meant before, whatever the policy says of that.

        Raises:
            InvalidInput: the reason is missing or too long.
            NotFound: no such alias.
            Conflict: ETAG_MISMATCH.
            StateConflict: it never meant another revision.
        """
        _check_reason(reason, is_required=True)

        def work(connection: Connection) -> Alias:
            before = shelf.find_alias(connection, name)
            if before is None:
                raise absent(str(name))
            moves = promotion_log.moves_of(connection, name)
            was_rolled_back = bool(moves) and moves[-1][0] is PromotionWay.ROLL_BACK_ALIAS
            if was_rolled_back and _is_repeat(before, etag):
                return before
            _check_etag(name, before, etag)
            earlier = revision_before(moves)
            if not earlier:
                raise StateConflict(
                    "STATE_CONFLICT",
                    f"{name} never meant another revision than {before.revision}",
                    hint="PromoteRevision moves it to any",
                )
            cause = Cause(PromotionWay.ROLL_BACK_ALIAS, actor, reason)
            target = Target(RevisionName.parse(earlier))
            return self._gate.move(connection, name, target, "", cause=cause, now=self._clock.now())

        return await self._moved(work)

    async def page(self, adapter: AdapterName, page: Page) -> tuple[list[Promotion], str]:
        """One page of the record, newest first."""
        return await self._database.run(lambda c: promotion_log.list_promotions(c, adapter, page))

    async def _moved(self, work: Callable[[Connection], Alias]) -> Alias:
        alias = await self._database.run(work)
        self._changes.ring()
        return alias


def _target_of(wish: PromotionWish, before: Alias | None) -> Target:
    """Raises `InvalidInput` for a faulty canary, `StateConflict` for one beside nothing."""
    if wish.canary_percent is None:
        return Target(wish.revision)
    if before is None:
        raise StateConflict(
            "STATE_CONFLICT",
            f"{wish.alias} means no revision yet, so that nothing can be on trial beside it",
            hint="promote without canary_percent",
        )
    live = RevisionName.parse(before.revision)
    split = CanarySplit(wish.revision, wish.canary_percent, wish.rollback)
    split.check(live, "canary")
    return Target(live, split)


def _check_etag(name: AliasName, before: Alias | None, etag: str) -> None:
    version = str(before.version) if before is not None else ""
    if etag != version:
        told = f"{name} was moved by somebody else" if before is not None else f"{name} does not exist"
        raise Conflict("ETAG_MISMATCH", told, hint="read it again", metadata={"etag": version})


def _is_repeat(before: Alias, etag: str) -> bool:
    """Whether the latest change of the alias began where this request does: it may be the same, sent again."""
    return etag == (str(before.version - 1) if before.version > 1 else "")


def _is_as_wanted(before: Alias, target: Target) -> bool:
    split = before.canary
    if target.canary is not None and split is not None:
        split = dataclasses.replace(split, start_time=target.canary.start_time)
    return (before.revision, split) == (str(target.revision), target.canary)


def _check_reason(reason: str, *, is_required: bool) -> None:
    if len(reason) > MAX_REASON_CHARACTERS:
        raise invalid_field("reason", f"has {len(reason)} characters, {MAX_REASON_CHARACTERS} are the most")
    if is_required and not reason.strip():
        raise invalid_field("reason", "is required: who reads the record later must know why")
