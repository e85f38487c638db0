"""Errors of the databases become errors of `daemon.errors`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DatabaseError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from daemon.errors import DatabaseBroken, DatabaseUnreachable, StateError
from daemon.store import postgresql


@contextmanager
def errors_of_the_store() -> Iterator[None]:
    """Raises `StateError` and its kinds; what is a bug of the program stays as it is."""
    try:
        yield
    except IntegrityError:
        raise  # a bug of the program; nobody must restore a backup because of it
    except DBAPIError as error:
        found = _meaning(error)
        if found is None:
            raise
        raise found from error
    except PoolExhausted as error:
        raise DatabaseUnreachable(
            "All connections to the database have been in use for long.",
            next_step="Look at what the database server does; inboxd tries again by itself.",
        ) from error


def _meaning(error: DBAPIError) -> StateError | None:
    if postgresql.is_of_server(error):
        return postgresql.meaning(error)
    if isinstance(error, OperationalError):
        return StateError(
            f"The database refused an operation: {error.orig}.",
            next_step="Check free space and permissions of the state directory.",
        )
    if isinstance(error, DatabaseError):
        return DatabaseBroken(f"The database is damaged: {error.orig}.")
    return None


@contextmanager
def errors_of_the_driver() -> Iterator[None]:
    """For what is asked of SQLite past SQLAlchemy."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StateError(
            f"The database refused an operation: {error}.",
            next_step="Check free space and permissions of the state directory; should inboxd "
            "be running, stop it.",
        ) from error
