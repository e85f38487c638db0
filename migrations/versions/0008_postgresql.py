"""What PostgreSQL needs to hold what SQLite holds: 64 bits, byte order, and an owner."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

WORD = 16
"""Length of the columns that hold a word of a list."""

FREE = ("linked_by", "source")
"""Columns of that length that hold other text."""


def upgrade() -> None:
    """One more table, which stays empty in SQLite; there, nothing else is to be done.

    PostgreSQL's INTEGER ends at 2^31, UIDs at 2^32. SQLite takes no notice of the lengths of texts,
    and some are longer (fingerprints of features); only words of our own lists keep theirs. Text is
    compared byte by byte as in SQLite,
    whatever the locale of the server: the order of folders must not depend on it.
    """
    connection = op.get_bind()
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    if connection.dialect.name != "postgresql":
        return
    inspector = sa.inspect(connection)
    for table in sorted(inspector.get_table_names()):
        if table == "alembic_version":
            continue
        for column in inspector.get_columns(table):
            if isinstance(column["type"], sa.Integer):
                op.alter_column(table, column["name"], type_=sa.BigInteger())
                if str(column["default"]).startswith("nextval("):
                    op.execute(f"ALTER SEQUENCE {table}_{column['name']}_seq AS bigint")
            elif isinstance(column["type"], sa.String):
                is_word = column["type"].length == WORD and column["name"] not in FREE
                length = WORD if is_word else None
                op.alter_column(table, column["name"], type_=sa.String(length, collation="C"))


def downgrade() -> None:
    """Migrations go forward only; restore a backup instead."""
    raise NotImplementedError("Migrations go forward only; restore a backup instead.")
