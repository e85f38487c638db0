"""Schema migrations (Alembic), applied whenever the store is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError, OperationalError

from daemon.errors import DatabaseBroken, DatabaseTooNew, StateError
from daemon.store.postgresql import is_of_server
from daemon.store.trouble import errors_of_the_store


def migrations_directory() -> Path:
    """Inside the installed package, else beside it in the checkout."""
    packaged = Path(__file__).parent.parent / "migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "migrations"


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def schema_of(engine: Engine) -> str | None:
    """The revision of the database."""
    with engine.execution_options(writing=False).connect() as connection:
        return _revision(connection)


def upgrade(engine: Engine, to: str = "head") -> None:
    """Bring the database to the newest schema (tests stop at an older one).

    Raises `DatabaseTooNew` when a newer inboxd wrote it, `DatabaseBroken` when SQLite cannot
    read it, `StateError` when it cannot be opened or written.
    """
    config = Config()
    config.set_main_option("script_location", str(migrations_directory()).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    head = script.get_current_head()
    with _errors_of_opening():
        with engine.execution_options(writing=False).connect() as connection:
            # Mostly nothing is to be done, and then nobody who writes must be waited for.
            if _revision(connection) == head:
                return
        with engine.connect() as connection:
            current = _revision(connection)
            if current == head:
                return
            known = {revision.revision for revision in script.walk_revisions()}
            if current is not None and current not in known:
                raise DatabaseTooNew(
                    f"The database has schema {current}, which this inboxd does not know."
                )
            config.attributes["connection"] = connection
            command.upgrade(config, to)
            connection.commit()


@contextmanager
def _errors_of_opening() -> Iterator[None]:
    with errors_of_the_store():
        try:
            yield
        except (OperationalError, DatabaseError) as error:
            if is_of_server(error):
                raise
            if isinstance(error, OperationalError):
                raise StateError(
                    f"The database cannot be opened: {error.orig}.",
                    next_step="Check that [state] dir exists, is writable and has free space.",
                ) from error
            raise DatabaseBroken(f"The database cannot be read: {error.orig}.") from error
