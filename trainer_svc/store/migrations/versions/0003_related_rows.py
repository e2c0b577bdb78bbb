"""Which other rows a finding is about."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column; findings that were stored before it have none."""
    op.add_column("findings", sa.Column("related_rows", sa.JSON, nullable=False, server_default="[]"))


def downgrade() -> None:
    """Drops it."""
    op.drop_column("findings", "related_rows")
