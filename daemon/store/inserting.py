"""INSERT … ON CONFLICT, which both databases know and SQLAlchemy gives for each apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from daemon.store.tables import Base

Rows = Collection[Mapping[str, Any]]


def insert_new(session: Session, table: type[Base], rows: Rows) -> None:
    """Insert what is not there yet; what is there stays as it is."""
    if rows:
        session.execute(_insert(session, table, rows).on_conflict_do_nothing())


def insert_or_replace(
    session: Session, table: type[Base], rows: Rows, *, key: Collection[str], replaced: str
) -> None:
    """Insert, or give the row with the same key another value in the column `replaced`."""
    if rows:
        statement = _insert(session, table, rows)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=list(key), set_={replaced: statement.excluded[replaced]}
            )
        )


def _insert(session: Session, table: type[Base], rows: Rows) -> postgresql.Insert | sqlite.Insert:
    values = [dict(row) for row in rows]
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table).values(values)
    return sqlite.insert(table).values(values)
