"""Revisions and aliases in the database. Every function works inside the caller's transaction."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from shared.adapter.canary import CanaryRollback, CanarySplit
from shared.errors import Conflict
from shared.names import AdapterName, AliasName, RevisionName, absent
from shared.rpc.page import Page, take_page
from trainer_svc.domain.registry import Alias, AliasChange, Revision, RevisionPreference
from trainer_svc.store.codec import dump, load
from trainer_svc.store.table import alias_changes, aliases, revisions

ANY = "-"


def find_revision(connection: Connection, name: RevisionName) -> Revision | None:
    """A revision, or None."""
    where = (
        (revisions.c.tenant == name.tenant)
        & (revisions.c.adapter == name.adapter)
        & (revisions.c.number == name.number)
    )
    body = connection.execute(select(revisions.c.body).where(where)).scalar()
    return load(Revision, body) if body is not None else None


def get_revision(connection: Connection, name: RevisionName) -> Revision:
    """A revision. Raises `NotFound`."""
    found = find_revision(connection, name)
    if found is None:
        raise absent(str(name))
    return found


def next_revision(connection: Connection, adapter: AdapterName) -> RevisionName:
    """The name that the adapter's next revision gets."""
    where = (revisions.c.tenant == adapter.tenant) & (revisions.c.adapter == adapter.id)
    last = connection.execute(select(func.max(revisions.c.number)).where(where)).scalar() or 0
    return RevisionName(adapter.tenant, adapter.id, last + 1)


def add_revision(connection: Connection, adapter: AdapterName, revision: Revision) -> Revision:
    """Publishes a revision under the adapter's next number; returns it with its name."""
    name = next_revision(connection, adapter)
    named = dataclasses.replace(revision, name=str(name))
    values = {"tenant": name.tenant, "adapter": name.adapter, "number": name.number, "body": dump(named)}
    connection.execute(insert(revisions).values(values))
    return named


def add_preference(connection: Connection, name: RevisionName, preference: RevisionPreference) -> None:
    """Adds to a revision what people said of it; its package stays as it is. Raises `NotFound`."""
    stored = get_revision(connection, name)
    told = dataclasses.replace(stored, preferences=(*stored.preferences, preference))
    where = (
        (revisions.c.tenant == name.tenant)
        & (revisions.c.adapter == name.adapter)
        & (revisions.c.number == name.number)
    )
    connection.execute(update(revisions).where(where).values(body=dump(told)))


def list_revisions(connection: Connection, adapter: AdapterName, page: Page) -> tuple[list[Revision], str]:
    """One page, newest first, with the token of the next."""
    before = page.number()
    query = select(revisions.c.number, revisions.c.body).where(
        (revisions.c.tenant == adapter.tenant) & (revisions.c.adapter == adapter.id)
    )
    if before:
        query = query.where(revisions.c.number < before)
    rows = connection.execute(query.order_by(revisions.c.number.desc()).limit(page.size + 1)).all()
    token = page.numbered_token(rows[page.size - 1].number) if len(rows) > page.size else ""
    return [load(Revision, row.body) for row in rows[: page.size]], token


def find_alias(connection: Connection, name: AliasName) -> Alias | None:
    """An alias, or None."""
    body = connection.execute(select(aliases.c.body).where(_is(name))).scalar()
    return load(Alias, body) if body is not None else None


def set_alias(  # what an alias is, and when
    connection: Connection, name: AliasName, revision: RevisionName, etag: str, now: datetime,
    *, canary: CanarySplit | None = None,
) -> Alias:  # fmt: skip
    """Points an alias at a revision, and a part of it at a canary; both must exist.

    A trial goes on, with its start time, when only its percent or policy changes.

    Raises:
        NotFound: a revision does not exist, or is another adapter's.
        Conflict: ETAG_MISMATCH.
    """
    get_revision(connection, revision)
    if canary is not None:
        get_revision(connection, canary.revision)
    before = find_alias(connection, name)
    version = before.version if before else 0
    if etag and etag != str(version):
        raise Conflict(
            "ETAG_MISMATCH", f"{name} was moved by somebody else", hint="read it again", metadata={"etag": str(version)}
        )
    is_same = before is not None and before.revision == str(revision)
    if canary is not None:
        old = before.canary if before is not None and is_same else None
        goes_on = old is not None and old.revision == canary.revision
        canary = dataclasses.replace(canary, start_time=old.start_time if old is not None and goes_on else now)
    if before is not None and is_same and before.canary == canary:
        return before
    rollback = before.last_rollback if before is not None else None
    return _write(connection, name, Alias(str(name), str(revision), version + 1, now, canary, rollback))


def roll_back_canary(
    connection: Connection, name: AliasName, rollback: CanaryRollback, trial_start: datetime
) -> tuple[Alias, bool]:
    """Ends the trial of a canary; the alias, and whether it was on trial until now.

    Leaves everything as it is unless the alias's canary is that revision and began then. Raises `NotFound`.
    """
    before = find_alias(connection, name)
    if before is None:
        raise absent(str(name))
    now = before.canary
    if now is None or (now.revision, now.start_time) != (rollback.revision, trial_start):
        return before, False
    ended = dataclasses.replace(
        before, version=before.version + 1, update_time=rollback.time, canary=None, last_rollback=rollback
    )
    return _write(connection, name, ended), True


def _write(connection: Connection, name: AliasName, alias: Alias) -> Alias:
    connection.execute(delete(aliases).where(_is(name)))
    values = {"tenant": name.tenant, "adapter": name.adapter, "alias": name.alias, "body": dump(alias)}
    connection.execute(insert(aliases).values(values))
    connection.execute(insert(alias_changes).values(body=dump(alias)))
    return alias


def _is(name: AliasName) -> ColumnElement[bool]:
    return (aliases.c.tenant == name.tenant) & (aliases.c.adapter == name.adapter) & (aliases.c.alias == name.alias)


def list_aliases(connection: Connection, tenant: str, adapter: str, page: Page) -> tuple[list[Alias], str]:
    """One page by name; "-" for tenant or adapter means all."""
    query = select(aliases.c.tenant, aliases.c.adapter, aliases.c.alias, aliases.c.body)
    if tenant != ANY:
        query = query.where(aliases.c.tenant == tenant)
    if adapter != ANY:
        query = query.where(aliases.c.adapter == adapter)
    found = [load(Alias, row.body) for row in connection.execute(query).all()]
    return take_page(sorted(found, key=lambda alias: alias.name), page, lambda alias: alias.name)


def last_cursor(connection: Connection) -> int:
    """Cursor of the newest alias change; 0 before the first."""
    return connection.execute(select(func.max(alias_changes.c.cursor))).scalar() or 0


def all_aliases(connection: Connection) -> list[AliasChange]:
    """Every alias as it is, under the present cursor, the last one that was moved last."""
    cursor = last_cursor(connection)
    found = [load(Alias, body) for body in connection.execute(select(aliases.c.body)).scalars()]
    return [AliasChange(cursor, alias) for alias in sorted(found, key=lambda alias: (alias.update_time, alias.name))]


def alias_changes_after(connection: Connection, cursor: int, limit: int = 500) -> list[AliasChange]:
    """Changes after a cursor, in order."""
    rows = connection.execute(
        select(alias_changes).where(alias_changes.c.cursor > cursor).order_by(alias_changes.c.cursor).limit(limit)
    ).all()
    return [AliasChange(row.cursor, load(Alias, row.body)) for row in rows]
