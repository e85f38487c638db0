"""All rows of one database into another, whichever kinds they are.

So a backup holds a SQLite file, wherever inboxd keeps its state, and can be restored into either.
"""

from __future__ import annotations

from sqlalchemy import Connection, Table, func, insert, select, text

from daemon.store.tables import Base, Installation

ROWS_AT_ONCE = 500

KEPT_APART = Base.metadata.tables[Installation.__tablename__]
"""Says to which state directory a server's database belongs: never copied."""


def tables() -> list[Table]:
    """What is copied, each after those that it refers to."""
    return [table for table in Base.metadata.sorted_tables if table is not KEPT_APART]


def copy_rows(source: Connection, target: Connection) -> None:
    """Into empty tables of the same schema; ids stay. The caller commits."""
    for table in tables():
        found = source.execute(select(table).execution_options(yield_per=ROWS_AT_ONCE))
        for rows in found.mappings().partitions(ROWS_AT_ONCE):
            target.execute(insert(table), [dict(row) for row in rows])


def empty_tables(server: Connection) -> None:
    """Delete every row of a database on a server, at once."""
    names = ", ".join(f'"{table.name}"' for table in (*tables(), KEPT_APART))
    server.execute(text(f"TRUNCATE {names}"))


def count_on(server: Connection) -> None:
    """New rows get ids beyond those that were copied (SQLite sees to that by itself)."""
    for table in tables():
        if "id" in table.c:
            sequence = func.pg_get_serial_sequence(table.name, "id")
            following = func.coalesce(func.max(table.c.id), 0) + 1
            server.execute(select(func.setval(sequence, following, False)))
