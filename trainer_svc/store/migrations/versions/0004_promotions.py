"""Policies of adapters, and who moved their aliases."""

import json
from collections import Counter
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the tables; moves of before enter the record as far as they are known, to be rolled back."""
    op.create_table(
        "promotion_policies",
        sa.Column("tenant", sa.String, primary_key=True),
        sa.Column("adapter", sa.String, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    promotions = op.create_table(
        "promotions",
        sa.Column("tenant", sa.String, primary_key=True),
        sa.Column("adapter", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("alias", sa.String, nullable=False),
        sa.Column("way", sa.String, nullable=False),
        sa.Column("revision", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("promotions_by_alias", "promotions", ["tenant", "adapter", "alias", "number"])
    changes = sa.table("alias_changes", sa.column("cursor", sa.Integer), sa.column("body", sa.Text))
    bodies = op.get_bind().execute(sa.select(changes.c.body).order_by(changes.c.cursor)).scalars()
    rows = _earlier(json.loads(body) for body in bodies)
    if rows:
        op.bulk_insert(promotions, rows)


def _earlier(moves: Any) -> list[dict[str, Any]]:
    """Rows of moves of which nobody wrote down who made them."""
    numbers: Counter[tuple[str, str]] = Counter()
    before: dict[str, dict[str, Any]] = {}
    rows = []
    for move in moves:
        _, tenant, _, adapter, _, alias = move["name"].split("/")
        numbers[tenant, adapter] += 1
        number, last, canary = numbers[tenant, adapter], before.get(move["name"], {}), move.get("canary")
        body = {
            "number": number,
            "alias": move["name"],
            "time": move["update_time"],
            "cause": {"way": "earlier", "actor": {}},
            "from_revision": last.get("revision", ""),
            "to_revision": move["revision"],
            "from_canary": _canary(last.get("canary")),
            "to_canary": _canary(canary),
            "to_canary_percent": canary["percent"] if canary else 0,
        }
        key = {"tenant": tenant, "adapter": adapter, "number": number, "alias": alias}
        rows.append({**key, "way": "earlier", "revision": move["revision"], "body": json.dumps(body)})
        before[move["name"]] = move
    return rows


def _canary(split: Any) -> str:
    """Name of the revision on trial."""
    if not split:
        return ""
    part = split["revision"]
    return f"tenants/{part['tenant']}/adapters/{part['adapter']}/revisions/{part['number']}"


def downgrade() -> None:
    """Drops them."""
    op.drop_table("promotions")
    op.drop_table("promotion_policies")
