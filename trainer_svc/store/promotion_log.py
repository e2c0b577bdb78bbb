"""Promotion policies, and the audit record of aliases. Every function works inside the caller's transaction."""

from __future__ import annotations

import dataclasses

from sqlalchemy import Connection, delete, func, insert, select

from shared.errors import Conflict
from shared.names import AdapterName, AliasName, RevisionName
from shared.rpc.page import Page
from trainer_svc.domain.promotion_policy import AdapterPolicy
from trainer_svc.domain.promotion_record import Promotion, PromotionWay
from trainer_svc.store.codec import dump, load
from trainer_svc.store.table import promotion_policies, promotions


def get_policy(connection: Connection, adapter: AdapterName) -> AdapterPolicy:
    """The policy of an adapter, whether or not that exists yet; the default where none is stored."""
    table = promotion_policies
    where = (table.c.tenant == adapter.tenant) & (table.c.adapter == adapter.id)
    body = connection.execute(select(table.c.body).where(where)).scalar()
    return load(AdapterPolicy, body) if body is not None else AdapterPolicy()


def save_policy(connection: Connection, adapter: AdapterName, policy: AdapterPolicy, etag: str) -> AdapterPolicy:
    """Stores a policy under its next version, whatever `policy` says of that, and returns it.

    Raises `Conflict` (ETAG_MISMATCH) where `etag` is not that of the stored one; an empty one is not compared.
    """
    version = get_policy(connection, adapter).version
    if etag and etag != str(version):
        raise Conflict(
            "ETAG_MISMATCH",
            f"the policy of {adapter} was changed by somebody else",
            hint="read it again",
            metadata={"etag": str(version)},
        )
    stored, table = dataclasses.replace(policy, version=version + 1), promotion_policies
    where = (table.c.tenant == adapter.tenant) & (table.c.adapter == adapter.id)
    connection.execute(delete(table).where(where))
    connection.execute(insert(table).values(tenant=adapter.tenant, adapter=adapter.id, body=dump(stored)))
    return stored


def add_promotion(connection: Connection, promotion: Promotion) -> Promotion:
    """Appends an entry under the next number of its adapter."""
    name = AliasName.parse(promotion.alias)
    where = (promotions.c.tenant == name.tenant) & (promotions.c.adapter == name.adapter)
    number = (connection.execute(select(func.max(promotions.c.number)).where(where)).scalar() or 0) + 1
    stored = dataclasses.replace(promotion, number=number)
    values = {
        "tenant": name.tenant,
        "adapter": name.adapter,
        "number": number,
        "alias": name.alias,
        "way": stored.cause.way.value,
        "revision": stored.to_revision,
        "body": dump(stored),
    }
    connection.execute(insert(promotions).values(values))
    return stored


def list_promotions(connection: Connection, adapter: AdapterName, page: Page) -> tuple[list[Promotion], str]:
    """One page, newest first, with the token of the next."""
    before = page.number()
    query = select(promotions.c.number, promotions.c.body).where(
        (promotions.c.tenant == adapter.tenant) & (promotions.c.adapter == adapter.id)
    )
    if before:
        query = query.where(promotions.c.number < before)
    rows = connection.execute(query.order_by(promotions.c.number.desc()).limit(page.size + 1)).all()
    token = page.numbered_token(rows[page.size - 1].number) if len(rows) > page.size else ""
    return [load(Promotion, row.body) for row in rows[: page.size]], token


def moves_of(connection: Connection, alias: AliasName) -> list[tuple[PromotionWay, str]]:
    """Way and new revision of each move of an alias, oldest first."""
    where = (
        (promotions.c.tenant == alias.tenant)
        & (promotions.c.adapter == alias.adapter)
        & (promotions.c.alias == alias.alias)
    )
    query = select(promotions.c.way, promotions.c.revision).where(where).order_by(promotions.c.number)
    return [(PromotionWay(way), revision) for way, revision in connection.execute(query).all()]


def was_meant(connection: Connection, alias: AliasName, revision: RevisionName) -> bool:
    """Whether the alias ever meant the revision."""
    return any(moved == str(revision) for _, moved in moves_of(connection, alias))
