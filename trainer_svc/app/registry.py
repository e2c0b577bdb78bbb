"""The registry: revisions, their files, and aliases that can be followed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from shared.adapter.canary import CanaryRollback, CanarySplit, RollbackReason
from shared.changes import Changes
from shared.clock import Clock
from shared.errors import NotFound, OutOfRange, Unavailable
from shared.names import AdapterName, AliasName, RevisionName, invalid_field
from shared.rpc.page import Page
from shared.storage.base import BlobStore
from trainer_svc.app.promotion_gate import PromotionGate, Target
from trainer_svc.domain.promotion import refusal
from trainer_svc.domain.promotion_record import Actor, Cause, PromotionWay
from trainer_svc.domain.registry import Alias, AliasChange, Revision
from trainer_svc.store import promotion_log, shelf
from trainer_svc.store.database import Database

_log = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20
MAX_DESCRIPTION_CHARACTERS = 1_000
BOOKMARK_SECONDS = 15.0


@dataclass(frozen=True)
class Chunk:
    """A piece of a package file."""

    filename: str
    offset: int
    data: bytes


class RegistryReader:
    """Everything the registry offers, the moving of aliases included."""

    def __init__(
        self, database: Database, blobs: BlobStore, changes: Changes, clock: Clock, gate: PromotionGate
    ) -> None:
        self._database, self._blobs, self._changes, self._clock = database, blobs, changes, clock
        self._gate = gate

    async def revision(self, name: RevisionName) -> Revision:
        """A revision. Raises `NotFound`."""
        return await self._database.run(lambda c: shelf.get_revision(c, name))

    async def revisions(self, adapter: AdapterName, page: Page) -> tuple[list[Revision], str]:
        """One page, newest first."""
        return await self._database.run(lambda c: shelf.list_revisions(c, adapter, page))

    async def download(self, name: RevisionName, filename: str, offset: int) -> AsyncIterator[Chunk]:
        """All files in order, or one from an offset on.

        Raises:
            NotFound: no such revision or file.
            DataLoss: the stored bytes rotted.
        """
        if offset < 0 or (offset and not filename):
            raise invalid_field("offset", "must not be negative, and goes with a filename")
        files = (await self.revision(name)).files
        wanted = [file for file in files if filename in ("", file.filename)]
        if not wanted:
            raise NotFound("RESOURCE_NOT_FOUND", f"{name} has no file {filename[:80]!r}")
        for file in wanted:
            place, pieces = offset, self._blobs.chunks(file.digest, offset, CHUNK_BYTES)
            while (data := await asyncio.to_thread(_next, pieces)) is not None:
                yield Chunk(file.filename, place, data)
                place += len(data)

    async def aliases(self, tenant: str, adapter: str, page: Page) -> tuple[list[Alias], str]:
        """One page by name; "-" means all."""
        return await self._database.run(lambda c: shelf.list_aliases(c, tenant, adapter, page))

    async def set_alias(
        self, name: AliasName, revision: RevisionName, etag: str, canary: CanarySplit | None = None, *, actor: Actor
    ) -> Alias:
        """Moves an alias, and sets, changes or ends its canary.

        Raises `NotFound`, `Conflict`, `InvalidInput` for another adapter's revision and a faulty canary, or
        `StateConflict` (PROMOTION_REFUSED) where a policy is stored and a revision fails that the alias never meant.
        """
        if revision.adapter_name != name.adapter_name:
            raise invalid_field("alias.revision", f"is not a revision of {name.adapter_name}")
        if canary is not None:
            canary.check(revision)
        target = Target(revision, canary)

        def work(connection: Connection) -> Alias:
            cause = self._permitted(connection, name, target, actor)
            return self._gate.move(connection, name, target, etag, cause=cause, now=self._clock.now())

        alias = await self._database.run(work)
        self._changes.ring()
        return alias

    def _permitted(self, connection: Connection, name: AliasName, target: Target, actor: Actor) -> Cause:
        arrivals = target.arrivals(shelf.find_alias(connection, name))
        reports = [self._gate.report(connection, shelf.get_revision(connection, each), name) for each in arrivals]
        if promotion_log.get_policy(connection, name.adapter_name).is_stored:
            for revision, report in zip(arrivals, reports, strict=True):
                if not report.passed and not promotion_log.was_meant(connection, name, revision):
                    hint = "PromoteRevision with override and a reason promotes it all the same"
                    raise refusal(str(revision), report, hint)
        return Cause(PromotionWay.SET_ALIAS, actor, report=reports[0] if reports else None)

    async def roll_back_canary(  # which trial, and what was found
        self, name: AliasName, revision: RevisionName, trial_start: datetime, reason: RollbackReason, description: str,
        *, actor: Actor,
    ) -> Alias:  # fmt: skip
        """Ends a trial that still runs; otherwise changes nothing. Raises `NotFound`, `InvalidInput`."""
        if len(description) > MAX_DESCRIPTION_CHARACTERS:
            raise invalid_field("description", f"has more than {MAX_DESCRIPTION_CHARACTERS} characters")
        rollback = CanaryRollback(revision, reason, description, self._clock.now())
        told = f"{reason.name}: {description}" if description else reason.name
        cause = Cause(PromotionWay.ROLL_BACK_CANARY, actor, told)
        alias, ended = await self._database.run(
            lambda c: self._gate.roll_back_canary(c, name, rollback, trial_start=trial_start, cause=cause)
        )
        if ended:
            _log.warning(
                "canary rolled back",
                extra={"alias": str(name), "revision": str(revision), "reason": reason.value, "figures": description},
            )
            self._changes.ring()
        return alias

    async def watch(self, cursor: str) -> AsyncIterator[AliasChange | str]:
        """Changes after a cursor, then live ones; a bare cursor is a bookmark. Without one, the present state first.

        Raises:
            OutOfRange: CURSOR_INVALID.
            Unavailable: the process drains.
        """
        place = await self._place(cursor)
        if not cursor:
            present = await self._database.run(shelf.all_aliases)
            for change in present:
                place = change.cursor
                yield change
            yield str(place)
        while True:
            mark, after = self._changes.mark(), place
            changes = await self._database.run(lambda c: shelf.alias_changes_after(c, after))  # noqa: B023  # run at once
            for change in changes:
                place = change.cursor
                yield change
            if changes:
                continue
            if self._changes.closed:
                raise Unavailable("NOT_SERVING", "the trainer drains", hint="watch again from the last cursor")
            if not await Changes.wait(mark, BOOKMARK_SECONDS):
                yield str(place)

    async def _place(self, cursor: str) -> int:
        def work(connection: Connection) -> int:
            last = shelf.last_cursor(connection)
            if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19 and int(cursor) <= last):
                raise OutOfRange(
                    "CURSOR_INVALID", f"{cursor[:40]!r} is not a cursor of this registry", hint="begin without one"
                )
            return int(cursor) if cursor else last

        return await self._database.run(work)


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)
