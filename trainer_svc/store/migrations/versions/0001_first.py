"""The first tables."""

from typing import Any  # of several column types

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _named(table: str, *columns: sa.Column[Any]) -> None:
    op.create_table(table, *columns, sa.Column("body", sa.Text, nullable=False))


def _key(name: str, kind: type[sa.String | sa.Integer] = sa.String) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True)


def upgrade() -> None:
    """Creates everything."""
    _named("contracts", _key("tenant"), _key("id"))
    _named("datasets", _key("tenant"), _key("id"))
    op.create_table(
        "findings",
        _key("tenant"),
        _key("dataset"),
        _key("position", sa.Integer),
        sa.Column("row_number", sa.Integer, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("blocking", sa.Boolean, nullable=False),
    )
    op.create_table(
        "jobs",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("tenant", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("jobs_by_name", "jobs", ["tenant", "id"], unique=True)
    op.create_index("jobs_by_state", "jobs", ["state", "number"])
    _named("events", _key("tenant"), _key("job"), _key("sequence", sa.Integer))
    _named("revisions", _key("tenant"), _key("adapter"), _key("number", sa.Integer))
    _named("aliases", _key("tenant"), _key("adapter"), _key("alias"))
    op.create_table(
        "alias_changes",
        sa.Column("cursor", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "request_ids",
        _key("tenant"),
        _key("method"),
        _key("request_id"),
        sa.Column("payload_digest", sa.String, nullable=False),
    )


def downgrade() -> None:
    """Drops everything."""
    for table in (
        "request_ids", "alias_changes", "aliases", "revisions", "events", "jobs", "findings", "datasets", "contracts",
    ):  # fmt: skip
        op.drop_table(table)
