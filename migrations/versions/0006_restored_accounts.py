"""Accounts that came out of a backup: what happened since then is nobody's lesson."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One nullable column: no existing account was restored."""
    with op.batch_alter_table("accounts") as batch:
        batch.add_column(sa.Column("restored_at", sa.DateTime(), nullable=True))


def downgrade() -> None:
    """Migrations go forward only; restore a backup instead."""
    raise NotImplementedError("Migrations go forward only; restore a backup instead.")
