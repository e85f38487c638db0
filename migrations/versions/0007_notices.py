"""What people were told, and which messages inboxd has written itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One more table, empty until something is told; no existing message is a notice."""
    op.create_table(
        "notices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("occasion", sa.String(length=120), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("message_id_hash", sa.String(length=32), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("sent_at", sa.DateTime(), nullable=True),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(), nullable=False),
        sa.Column("error", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_notices_account_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint(
            "account_id",
            "occasion",
            "channel",
            name=op.f("uq_notices_account_id_occasion_channel"),
        ),
    )
    op.create_index(
        "ix_notices_account_id_message_id_hash", "notices", ["account_id", "message_id_hash"]
    )
    # Not in a batch: that would make the table anew, and with the old one all that refers to it
    # would go (ON DELETE CASCADE).
    op.add_column(
        "messages",
        sa.Column("is_notice", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    """Migrations go forward only; restore a backup instead."""
    raise NotImplementedError("Migrations go forward only; restore a backup instead.")
