"""SQLite as inboxd uses it.

| PRAGMA | value | why |
|---|---|---|
| journal_mode | WAL | `status` reads while the daemon writes |
| synchronous | FULL | a planned move must survive a power cut before the server hears of it |
| foreign_keys | ON | off by default in SQLite |
| busy_timeout | 30 s | another process may hold the write lock for a moment |
| secure_delete | ON | what is forgotten is overwritten |

Writers begin with BEGIN IMMEDIATE, so that two processes queue up instead of failing half-way
with SQLITE_BUSY (https://www.sqlite.org/lang_transaction.html).
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event

PRAGMAS = (
    "PRAGMA busy_timeout = 30000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
)


def open_engine(path: Path) -> Engine:
    """An engine on the database file; nothing is opened before the first use."""
    # isolation_level=None: pysqlite must not begin transactions behind SQLAlchemy's back.
    # hide_parameters: an error's text would quote the values of the statement.
    engine = create_engine(
        f"sqlite:///{path}", connect_args={"isolation_level": None}, hide_parameters=True
    )
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def _set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing", True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN DEFERRED")
