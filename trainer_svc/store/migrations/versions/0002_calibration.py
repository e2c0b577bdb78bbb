"""What runs took, for estimates of later ones."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the table."""
    op.create_table(
        "calibrations",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("base_model_digest", sa.String, nullable=False),
        sa.Column("mode", sa.String, nullable=False),
        sa.Column("threads", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("calibrations_by_kind", "calibrations", ["base_model_digest", "mode", "threads"])


def downgrade() -> None:
    """Drops it."""
    op.drop_table("calibrations")
