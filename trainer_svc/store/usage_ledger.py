"""What replicas counted, in the database. Every function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from shared.names import invalid_field
from shared.rpc.page import Page, next_token
from shared.usage import COUNTERS, UsageCounts
from trainer_svc.domain.usage_ledger import ReportedUsage, UsagePeriod, UsageSum
from trainer_svc.store.table import usage

_INSERTS: Mapping[str, Callable[[Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
_SUMS = [func.coalesce(func.sum(usage.c[name]), 0).label(name) for name in COUNTERS]


def store_usage(connection: Connection, tenant: str, replica_id: str, entries: Sequence[ReportedUsage]) -> None:
    """Stores absolute counters, unless newer ones of the same replica are there: one statement for each, no race."""
    insert = _INSERTS[connection.dialect.name](usage)
    newer = insert.on_conflict_do_update(
        index_elements=list(usage.primary_key.columns),
        set_={name: insert.excluded[name] for name in ("sequence", *COUNTERS)},
        where=insert.excluded.sequence > usage.c.sequence,
    )
    for entry in entries:
        key = {"tenant": tenant, "adapter": entry.adapter, "revision": entry.revision, "hour": entry.hour}
        counters = {name: getattr(entry.counts, name) for name in COUNTERS}
        values = {**key, "replica_id": replica_id, "sequence": entry.sequence, **counters}
        connection.execute(newer, values)


def list_usage(
    connection: Connection, tenant: str, adapter: str, period: UsagePeriod, hours: int, page: Page
) -> tuple[list[UsageSum], str]:
    """One page by time, adapter and revision, with the token of the next; `adapter` is empty for all.

    Times are rounded down to multiples of `hours`. Raises `InvalidInput` for the token of another list.
    """
    begin = (usage.c.hour - usage.c.hour % hours).label("begin")
    key = (begin, usage.c.adapter, usage.c.revision)
    where = [usage.c.tenant == tenant, *_in(period)]
    if adapter:
        where.append(usage.c.adapter == adapter)
    if page.after:
        place = _place(page.after)
        where += [usage.c.hour >= place[0], tuple_(*key) > tuple_(*place)]
    end = _end_of_page(connection, where, hours, page.size + 1)
    query = select(*key, *_SUMS).where(*where, *_in(UsagePeriod(end=end)))
    rows = connection.execute(query.group_by(*key).order_by(*key).limit(page.size + 1)).all()
    taken = [UsageSum(row.begin, row.adapter, row.revision, _counts(row)) for row in rows[: page.size]]
    last = taken[-1] if len(rows) > page.size else None
    return taken, next_token(f"{last.hour}/{last.adapter}/{last.revision}") if last else ""


def _end_of_page(connection: Connection, where: Sequence[ColumnElement[bool]], hours: int, size: int) -> int | None:
    """An hour before which there are `size` sums at least, so that those after it are not added up; None for the end.

    A sum has `hours` keys of the ledger at most, which the index gives in their order.
    """
    key = (usage.c.hour, usage.c.adapter, usage.c.revision)
    query = select(usage.c.hour).where(*where).group_by(*key).order_by(*key).limit(1).offset(size * hours - 1)
    last = connection.execute(query).scalar()
    return None if last is None else last - last % hours + hours


def sum_usage(
    connection: Connection, tenant: str, adapter: str, revision: int | None, period: UsagePeriod
) -> tuple[UsageCounts, int | None, int | None]:
    """Sums of an adapter, or of one revision of it, with the first and the last hour that has any."""
    query = select(func.min(usage.c.hour).label("first"), func.max(usage.c.hour).label("last"), *_SUMS)
    row = connection.execute(query.where(*_of(tenant, adapter, revision), *_in(period))).one()
    return _counts(row), row.first, row.last


def answered_by_hour(
    connection: Connection, tenant: str, adapter: str, revision: int | None, period: UsagePeriod
) -> Mapping[int, int]:
    """Answered requests by hour."""
    answered = func.sum(usage.c.answered_requests).label("answered")
    query = select(usage.c.hour, answered).where(*_of(tenant, adapter, revision), *_in(period))
    return {row.hour: int(row.answered) for row in connection.execute(query.group_by(usage.c.hour))}


def first_answered_hour(connection: Connection, tenant: str, adapter: str, revision: int | None) -> int | None:
    """The first hour with an answered request."""
    query = select(func.min(usage.c.hour)).where(*_of(tenant, adapter, revision), usage.c.answered_requests > 0)
    return connection.execute(query).scalar()


def _in(period: UsagePeriod) -> list[ColumnElement[bool]]:
    begin = [] if period.first is None else [usage.c.hour >= period.first]
    return begin if period.end is None else [*begin, usage.c.hour < period.end]


def _of(tenant: str, adapter: str, revision: int | None) -> list[ColumnElement[bool]]:
    own = [usage.c.tenant == tenant, usage.c.adapter == adapter]
    return own if revision is None else [*own, usage.c.revision == revision]


def _counts(row: Row[Any]) -> UsageCounts:  # Any: columns have the types of the table
    return UsageCounts(*(int(getattr(row, name)) for name in COUNTERS))


def _place(after: str) -> tuple[int, str, int]:
    """The key in a page token."""
    parts = after.split("/")
    if len(parts) != 3 or not all(part.isdecimal() and len(part) <= 9 for part in parts[::2]):
        raise invalid_field("page_token", "is not a token of an earlier answer")
    return int(parts[0]), parts[1], int(parts[2])
