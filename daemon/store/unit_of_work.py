"""The store and its unit of work: `with store.write() as work: …; work.commit()`.

Leaving the block without `commit()` rolls back. `store.read()` sees one consistent snapshot
and never takes the write lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from daemon.errors import DatabaseBroken, StateError
from daemon.store.attempts import ReadingAttempts
from daemon.store.engine import open_engine
from daemon.store.failures import Failures
from daemon.store.history import Corrections, Decisions, Moves
from daemon.store.knowledge import Examples, FeatureCache, Models
from daemon.store.mail import Accounts, Folders, Messages, Placements
from daemon.store.migrate import schema_of, upgrade
from daemon.store.notices import Notices
from daemon.store.private import prepare_directory
from daemon.store.tables import Base
from daemon.store.trust import Contacts, Promises

DATABASE_NAME = "inboxd.sqlite3"
UNFINISHED_RESTORE = Path(".restore") / "plan.json"
"""While this file lies in a state directory, an interrupted `inboxd restore` has to be finished
before anything may work there; see `daemon/use_cases/restore.py`."""


class UnitOfWork:
    """One transaction, and the repositories that speak in it."""

    def __init__(self, engine: Engine, *, writing: bool) -> None:
        bind = engine.execution_options(writing=writing)
        self._session = Session(bind, expire_on_commit=False)
        self.accounts = Accounts(self._session)
        self.folders = Folders(self._session)
        self.messages = Messages(self._session)
        self.placements = Placements(self._session)
        self.decisions = Decisions(self._session)
        self.attempts = ReadingAttempts(self._session)
        self.failures = Failures(self._session)
        self.moves = Moves(self._session)
        self.corrections = Corrections(self._session)
        self.examples = Examples(self._session)
        self.features = FeatureCache(self._session)
        self.models = Models(self._session)
        self.promises = Promises(self._session)
        self.contacts = Contacts(self._session)
        self.notices = Notices(self._session)

    def commit(self) -> None:
        """Make everything since the last commit durable; the block may go on after it."""
        self._session.commit()

    def flush(self) -> None:
        """Send pending rows to the database so that they have ids."""
        self._session.flush()

    def row_counts(self) -> dict[str, int]:
        """Number of rows per table."""
        return {
            table.name: self._session.scalar(select(func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Rows that were read stay usable as values; a rollback would empty them.
        self._session.expunge_all()
        self._session.rollback()
        self._session.close()


class Store:
    """The database of one state directory."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, directory: Path) -> Store:
        """Open (and create or migrate) the database in `directory`.

        Raises `StateError` and its kinds.
        """
        path = directory / DATABASE_NAME
        if (directory / UNFINISHED_RESTORE).exists():
            raise StateError(
                f"A restore into {directory} was interrupted; the state is half old, half new.",
                next_step="Run: inboxd restore --resume",
            )
        try:
            prepare_directory(directory, path)
        except OSError as error:
            raise StateError(
                f"The state directory {directory} cannot be used: {error.strerror}.",
                next_step="Set [state] dir to a directory that this user may write.",
            ) from error
        engine = open_engine(path)
        upgrade(engine)
        return cls(engine)

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        """A transaction that may change things; the write lock is taken at its first query."""
        with _errors_of_the_store(), UnitOfWork(self._engine, writing=True) as work:
            yield work

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """A consistent snapshot."""
        with _errors_of_the_store(), UnitOfWork(self._engine, writing=False) as work:
            yield work

    def schema(self) -> str | None:
        """The migration that the database stands at."""
        with _errors_of_the_store():
            return schema_of(self._engine)

    def copy_to(self, path: Path) -> None:
        """A consistent copy while others write (SQLite's online backup)."""
        import sqlite3  # noqa: PLC0415 - the one place that needs the raw driver

        target = sqlite3.connect(path)
        try:
            with self._engine.connect() as connection:
                source = connection.connection.driver_connection
                if source is None:
                    raise StateError("The database connection is closed.")
                source.backup(target)
        finally:
            target.close()

    def compact(self) -> bool:
        """Write the database anew without what was deleted, and empty the -wal.

        Returns whether the -wal could be emptied: a reader that stays for longer than the time
        to wait keeps it.
        """
        with _errors_of_the_store(), self._engine.connect() as connection:
            raw = connection.connection.driver_connection
            if raw is None:
                raise StateError("The database connection is closed.")
            # Past SQLAlchemy, which would begin a transaction: neither can run within one.
            with _errors_of_the_driver():
                raw.execute("VACUUM")
                busy, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def close(self) -> None:
        """Release all connections."""
        self._engine.dispose()


@contextmanager
def _errors_of_the_driver() -> Iterator[None]:
    import sqlite3  # noqa: PLC0415 - as in `copy_to`

    try:
        yield
    except sqlite3.OperationalError as error:
        raise StateError(
            f"The database refused an operation: {error}.",
            next_step="Check free space and permissions of the state directory; should inboxd "
            "be running, stop it.",
        ) from error


@contextmanager
def _errors_of_the_store() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise  # a bug of the program; nobody must restore a backup because of it
    except OperationalError as error:
        raise StateError(
            f"The database refused an operation: {error.orig}.",
            next_step="Check free space and permissions of the state directory.",
        ) from error
    except DatabaseError as error:
        raise DatabaseBroken(f"The database is damaged: {error.orig}.") from error
