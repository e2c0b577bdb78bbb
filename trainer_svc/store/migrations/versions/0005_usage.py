"""What replicas of the inference service counted."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COUNTERS = (
    "answered_requests",
    "failed_requests",
    "prompt_tokens",
    "cached_prompt_tokens",
    "output_tokens",
    "saved_instruction_tokens",
    "saved_output_millitokens",
    "latency_microseconds",
    "engine_microseconds",
)


def upgrade() -> None:
    """Creates the table."""
    op.create_table(
        "usage",
        sa.Column("tenant", sa.String, primary_key=True),
        sa.Column("adapter", sa.String, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("hour", sa.Integer, primary_key=True),
        sa.Column("replica_id", sa.String, primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _COUNTERS),
    )
    op.create_index("usage_by_hour", "usage", ["tenant", "hour", "adapter", "revision"])


def downgrade() -> None:
    """Drops it."""
    op.drop_table("usage")
