"""Attempts at reading a message that have not ended well."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One more table; it is empty unless a message is being read."""
    op.create_table(
        "reading_attempts",
        sa.Column("message_id", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messages.id"],
            name=op.f("fk_reading_attempts_message_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_reading_attempts")),
    )


def downgrade() -> None:
    """Migrations go forward only; restore a backup instead."""
    raise NotImplementedError("Migrations go forward only; restore a backup instead.")
