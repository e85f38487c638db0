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
from sqlalchemy.orm import Session

from daemon.errors import StateError
from daemon.store.attempts import ReadingAttempts
from daemon.store.failures import Failures
from daemon.store.history import Corrections, Decisions, Moves
from daemon.store.knowledge import Examples, FeatureCache, Models
from daemon.store.mail import Accounts, Folders, Messages, Placements
from daemon.store.migrate import schema_of, upgrade
from daemon.store.notices import Notices
from daemon.store.places import DATABASE_NAME, OnServer, Place, SqliteFile
from daemon.store.postgresql import Server
from daemon.store.tables import Base
from daemon.store.trouble import errors_of_the_store
from daemon.store.trust import Contacts, Promises

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
    """What one state directory remembers: in a file of SQLite there, or in a database on a
    server that belongs to it."""

    def __init__(self, engine: Engine, place: Place) -> None:
        self._engine = engine
        self._place = place

    @classmethod
    def open(cls, directory: Path, server: Server | None = None) -> Store:
        """Open (and create or migrate) the database in `directory`, or that on `server`.

        Raises `StateError` and its kinds, `SecretMissing` and `ExtraMissing`.
        """
        if (directory / UNFINISHED_RESTORE).exists():
            raise StateError(
                f"A restore into {directory} was interrupted; the state is half old, half new.",
                next_step="Run: inboxd restore --resume",
            )
        place = SqliteFile(directory / DATABASE_NAME) if server is None else OnServer(server)
        try:
            place.prepare(directory)
        except OSError as error:
            raise StateError(
                f"The state directory {directory} cannot be used: {error.strerror}.",
                next_step="Set [state] dir to a directory that this user may write.",
            ) from error
        engine = place.engine()
        try:
            upgrade(engine)
            with errors_of_the_store():
                place.check(engine, directory)
        except OSError as error:
            engine.dispose()
            raise StateError(
                f"The state directory {directory} cannot be written: {error.strerror}.",
                next_step="Check its permissions and free space.",
            ) from error
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, place)

    @property
    def place(self) -> str:
        """Which database this is, in words, without a password."""
        return str(self._place)

    @property
    def kind(self) -> str:
        """The database's make: "SQLite" or "PostgreSQL"."""
        return self._place.kind

    def version(self) -> str:
        """Of the database's software."""
        with errors_of_the_store(), self._engine.execution_options(writing=False).connect() as it:
            return self._place.version(it)

    def size(self) -> int:
        """Bytes that the database takes."""
        with errors_of_the_store(), self._engine.execution_options(writing=False).connect() as it:
            return self._place.size(it)

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        """A transaction that may change things; the write lock is taken at its first query."""
        with errors_of_the_store(), UnitOfWork(self._engine, writing=True) as work:
            yield work

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """A consistent snapshot."""
        with errors_of_the_store(), UnitOfWork(self._engine, writing=False) as work:
            yield work

    def schema(self) -> str | None:
        """The migration that the database stands at."""
        with errors_of_the_store():
            return schema_of(self._engine)

    def copy_to(self, path: Path) -> None:
        """A consistent copy while others write, as a file of SQLite."""
        with errors_of_the_store():
            self._place.copy(self._engine, path)

    def compact(self) -> bool:
        """Write the database anew without what was deleted, and empty SQLite's -wal.

        Returns whether the -wal could be emptied: a reader that stays for longer than the time
        to wait keeps it.
        """
        with errors_of_the_store():
            return self._place.compact(self._engine)

    def close(self) -> None:
        """Release all connections."""
        self._engine.dispose()
