"""Preference studies and verdicts in the database. Every function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from shared.errors import AlreadyExists
from shared.names import AdapterName, PreferenceStudyName, absent
from shared.rpc.page import Page, take_page
from trainer_svc.domain.preference import Choice, PreferenceStudy, PreferenceVerdict, Progress
from trainer_svc.store.codec import dump, load
from trainer_svc.store.table import preference_studies as studies
from trainer_svc.store.table import preference_verdicts as verdicts


def find_study(connection: Connection, name: PreferenceStudyName) -> PreferenceStudy | None:
    """A study, or None."""
    body = connection.execute(select(studies.c.body).where(_is(name))).scalar()
    return load(PreferenceStudy, body) if body is not None else None


def get_study(connection: Connection, name: PreferenceStudyName) -> PreferenceStudy:
    """A study. Raises `NotFound`."""
    found = find_study(connection, name)
    if found is None:
        raise absent(str(name))
    return found


def add_study(connection: Connection, study: PreferenceStudy) -> None:
    """Stores a new study. Raises `AlreadyExists`."""
    name = PreferenceStudyName.parse(study.name)
    if find_study(connection, name) is not None:
        raise AlreadyExists("RESOURCE_EXISTS", f"{study.name} exists", hint="take a new study id")
    values = {"tenant": name.tenant, "adapter": name.adapter, "id": name.id, "body": dump(study)}
    connection.execute(insert(studies).values(values))


def save_study(connection: Connection, study: PreferenceStudy) -> None:
    """Replaces a stored study."""
    connection.execute(update(studies).where(_is(PreferenceStudyName.parse(study.name))).values(body=dump(study)))


def list_studies(connection: Connection, adapter: AdapterName, page: Page) -> tuple[list[PreferenceStudy], str]:
    """One page by id, with the token of the next."""
    rows = connection.execute(
        select(studies.c.id, studies.c.body)
        .where((studies.c.tenant == adapter.tenant) & (studies.c.adapter == adapter.id) & (studies.c.id > page.after))
        .order_by(studies.c.id)
        .limit(page.size + 1)
    ).all()
    taken, token = take_page(rows, page, lambda row: str(row.id))
    return [load(PreferenceStudy, row.body) for row in taken], token


def put_verdicts(connection: Connection, name: PreferenceStudyName, given: Iterable[PreferenceVerdict]) -> None:
    """Stores verdicts, each in place of an earlier one on the same pair by the same reviewer."""
    for verdict in given:
        own = _of(name) & (verdicts.c.pair == verdict.pair) & (verdicts.c.reviewer == verdict.reviewer)
        connection.execute(delete(verdicts).where(own))
        connection.execute(
            insert(verdicts).values(
                tenant=name.tenant,
                adapter=name.adapter,
                study=name.id,
                pair=verdict.pair,
                reviewer=verdict.reviewer,
                choice=verdict.choice.value,
                comment=verdict.comment,
            )
        )


def list_verdicts(connection: Connection, name: PreferenceStudyName) -> list[PreferenceVerdict]:
    """All verdicts of a study, by pair and reviewer."""
    rows = connection.execute(select(verdicts).where(_of(name)).order_by(verdicts.c.pair, verdicts.c.reviewer)).all()
    return [PreferenceVerdict(row.pair, row.reviewer, Choice(row.choice), row.comment) for row in rows]


def progress(connection: Connection, name: PreferenceStudyName) -> Progress:
    """How many pairs were judged, and by whom how many."""
    judged = connection.execute(select(func.count(func.distinct(verdicts.c.pair))).where(_of(name))).scalar_one()
    rows = connection.execute(
        select(verdicts.c.reviewer, func.count()).where(_of(name)).group_by(verdicts.c.reviewer)
    ).all()
    return Progress(judged, dict(sorted((str(reviewer), int(count)) for reviewer, count in rows)))


def _is(name: PreferenceStudyName) -> ColumnElement[bool]:
    return (studies.c.tenant == name.tenant) & (studies.c.adapter == name.adapter) & (studies.c.id == name.id)


def _of(name: PreferenceStudyName) -> ColumnElement[bool]:
    return (verdicts.c.tenant == name.tenant) & (verdicts.c.adapter == name.adapter) & (verdicts.c.study == name.id)
