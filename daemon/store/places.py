"""The two places where the database may be, and what each does in its own way."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from sqlalchemy import Connection, Engine, select, text

from daemon.errors import StateError
from daemon.store.copying import copy_rows, count_on, empty_tables, tables
from daemon.store.engine import open_engine
from daemon.store.migrate import upgrade
from daemon.store.pairing import PAIRING_NAME, mark, pair
from daemon.store.postgresql import Server, open_server
from daemon.store.private import prepare_directory
from daemon.store.tables import Account
from daemon.store.trouble import errors_of_the_driver, errors_of_the_store

DATABASE_NAME = "inboxd.sqlite3"
MODELS = "models"


class Place(Protocol):
    """Where a database is; `str()` tells a person, without a password."""

    kind: ClassVar[str]

    def prepare(self, directory: Path) -> None:
        """See to the state directory. Raises OSError and `StateError`."""

    def engine(self) -> Engine:
        """An engine for it; opens nothing yet."""

    def check(self, engine: Engine, directory: Path) -> None:
        """Whether it belongs to this state directory. Raises `StateError`."""

    def version(self, connection: Connection) -> str:
        """Of its software."""

    def size(self, connection: Connection) -> int:
        """In bytes."""

    def copy(self, engine: Engine, path: Path) -> None:
        """A consistent copy as a file of SQLite."""

    def compact(self, engine: Engine) -> bool:
        """Leave nothing of deleted rows; False where a reader prevented it."""


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """The database in the state directory."""

    path: Path
    kind: ClassVar[str] = "SQLite"

    def __str__(self) -> str:
        return f"SQLite, {self.path}"

    def prepare(self, directory: Path) -> None:
        """Make it private, with an empty file for the database."""
        if (directory / PAIRING_NAME).exists():
            raise StateError(
                f"The state in {directory} belongs to a database on a server "
                f"({PAIRING_NAME} says so), and [state] database names none.",
                next_step="Write [state] database again. To go back to SQLite: inboxd backup with "
                "it, then inboxd restore FILE --replace without it.",
            )
        prepare_directory(directory, self.path)

    def engine(self) -> Engine:
        """With the PRAGMAs that each connection gets."""
        return open_engine(self.path)

    def check(self, engine: Engine, directory: Path) -> None:
        """It lies in there."""

    def version(self, connection: Connection) -> str:
        """That of the library in Python."""
        return str(connection.scalar(text("SELECT sqlite_version()")))

    def size(self, connection: Connection) -> int:  # noqa: ARG002 - the other's
        """Of its three files."""
        return sum(_size(self.path.with_name(self.path.name + end)) for end in ("", "-wal", "-shm"))

    def copy(self, engine: Engine, path: Path) -> None:
        """SQLite's online backup."""
        target = sqlite3.connect(path)
        try:
            with engine.connect() as connection:
                _raw(connection).backup(target)
        finally:
            target.close()

    def compact(self, engine: Engine) -> bool:
        """VACUUM, and the -wal emptied."""
        with engine.connect() as connection:
            raw = _raw(connection)
            # Past SQLAlchemy, which would begin a transaction: neither can run within one.
            with errors_of_the_driver():
                raw.execute("VACUUM")
                busy, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy


@dataclass(frozen=True, slots=True)
class OnServer:
    """A PostgreSQL."""

    server: Server
    kind: ClassVar[str] = "PostgreSQL"

    def __str__(self) -> str:
        return str(self.server.address)

    def prepare(self, directory: Path) -> None:
        """Make it private: locks and models are in there."""
        prepare_directory(directory, None)

    def engine(self) -> Engine:
        """With a pool of connections."""
        return open_server(self.server)

    def check(self, engine: Engine, directory: Path) -> None:
        """Both carry the same token."""
        pair(engine, directory, remains(directory))

    def version(self, connection: Connection) -> str:
        """As the server tells it."""
        return str(connection.scalar(text("SHOW server_version")))

    def size(self, connection: Connection) -> int:
        """Of our tables with their indexes."""
        sizes = (
            connection.scalar(text("SELECT pg_total_relation_size(:name)"), {"name": table.name})
            for table in tables()
        )
        return sum(int(size or 0) for size in sizes)

    def copy(self, engine: Engine, path: Path) -> None:
        """Row by row, from one snapshot."""
        _copy_out(engine, path)

    def compact(self, engine: Engine) -> bool:
        """Tables are written anew; waits for readers for as long as `lock_timeout`."""
        names = ", ".join(f'"{table.name}"' for table in tables())
        with engine.connect() as connection:
            # Within a transaction VACUUM is refused; the pool's look whether the server still
            # answers has begun one.
            connection.connection.rollback()
            alone = connection.execution_options(isolation_level="AUTOCOMMIT")
            alone.exec_driver_sql(f"VACUUM (FULL, ANALYZE) {names}")
        return True


def _copy_out(engine: Engine, path: Path) -> None:
    """One snapshot of a server's database into a new file of SQLite."""
    target = open_engine(path)
    try:
        upgrade(target)
        with (
            engine.execution_options(writing=False).connect() as source,
            target.begin() as copy,
        ):
            copy_rows(source, copy)
    finally:
        target.dispose()


def holds_rows(server: Server) -> bool:
    """Whether a server's database knows any account. Raises as `Store.open`."""
    engine = open_server(server)
    try:
        upgrade(engine)
        with (
            errors_of_the_store(),
            engine.execution_options(writing=False).connect() as connection,
        ):
            return connection.scalar(select(Account.id).limit(1)) is not None
    finally:
        engine.dispose()


def save(server: Server, path: Path) -> None:
    """What a server's database holds into the file `path`, which is written anew; whichever
    state directory it belongs to. Raises as `Store.open`.
    """
    path.unlink(missing_ok=True)
    engine = open_server(server)
    try:
        upgrade(engine)
        with errors_of_the_store():
            _copy_out(engine, path)
    finally:
        engine.dispose()


def load(server: Server, path: Path, directory: Path) -> None:
    """Make the rows of a file of SQLite those of the server's database, and it that of
    `directory`: all at once, or nothing. Begun anew after an interruption it does the same.

    Raises as `Store.open`.
    """
    engine, source = open_server(server), open_engine(path)
    try:
        upgrade(source)
        upgrade(engine)
        with (
            errors_of_the_store(),
            source.execution_options(writing=False).connect() as rows,
            engine.begin() as target,
        ):
            empty_tables(target)
            copy_rows(rows, target)
            count_on(target)
            mark(target, directory)
    finally:
        source.dispose()
        engine.dispose()


def remains(directory: Path) -> list[str]:
    """Names of what a state directory holds that belongs to some database."""
    return [
        name
        for name in (DATABASE_NAME, MODELS)
        if (directory / name).is_file()
        or any(path.is_file() for path in (directory / name).rglob("*"))
    ]


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        raise StateError("The database connection is closed.")
    return raw


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a file that has just been removed
        return 0
