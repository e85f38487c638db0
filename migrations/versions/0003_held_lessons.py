"""Lessons that wait for confirmation: a burst of moves is not learned by itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two nullable columns: no existing correction is held."""
    with op.batch_alter_table("corrections") as batch:
        batch.add_column(sa.Column("hold", sa.String(length=16), nullable=True))
        batch.add_column(sa.Column("hold_reason", sa.String(length=16), nullable=True))
        batch.create_index("ix_corrections_message_id", ["message_id"], unique=False)


def downgrade() -> None:
    """Migrations go forward only; restore a backup instead."""
    raise NotImplementedError("Migrations go forward only; restore a backup instead.")
