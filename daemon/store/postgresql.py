"""PostgreSQL as inboxd uses it. The only module that knows the driver, pg8000.

| setting | value | why |
|---|---|---|
| synchronous_commit | on | a planned move must survive a power cut, as on SQLite |
| lock_timeout | 30 s | a writer that waits for another one gives up as it does on SQLite |
| TimeZone | UTC | what the server itself writes down is easy to compare |

Readers see one snapshot (REPEATABLE READ, READ ONLY). Writers hold one advisory lock from their
first query to their end, so there is one at a time, as on SQLite: all code that reads, decides and
writes in one transaction was written for that. See docs/adr/0050.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError

from daemon.database_address import DatabaseAddress
from daemon.errors import DatabaseBroken, DatabaseUnreachable, ExtraMissing, StateError
from daemon.store.encryption import context_for, dial_this_machine, failed_tls, refused_tls

DIALECT = "postgresql"
WRITERS = 0x696E626F7864
"""Key of the advisory lock that writers take: "inboxd" in ASCII. It holds within one database."""

SETTINGS = (
    "SET synchronous_commit = on",
    "SET lock_timeout = '30s'",
    "SET TimeZone = 'UTC'",
    "SET default_transaction_isolation = 'read committed'",
)

SOCKET_SECONDS = 120.0
"""Without any byte from the server for so long, the connection counts as lost."""

CONNECTIONS, MORE_CONNECTIONS = 5, 15
"""Kept open, and opened besides when many accounts are busy at once."""


@dataclass(frozen=True, slots=True)
class Server:
    """A database to connect to; `password` is asked at every connection and gives None where
    the server needs none (peer authentication)."""

    address: DatabaseAddress
    password: Callable[[], str | None]


def open_server(server: Server) -> Engine:
    """An engine for the database; nothing is connected before the first use.

    Raises `ExtraMissing` when the driver is not installed.
    """
    try:
        import pg8000.dbapi  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise ExtraMissing("[state] database with PostgreSQL", "postgres") from error
    # hide_parameters: an error's text would quote the values of the statement.
    # pool_pre_ping: the server may have been restarted since the last use.
    engine = create_engine(
        "postgresql+pg8000://",
        creator=lambda: _connect(server),
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=CONNECTIONS,
        max_overflow=MORE_CONNECTIONS,
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", _note_loss)
    return engine


def _connect(server: Server) -> Any:
    address = server.address
    context = context_for(address)
    try:
        with contextlib.ExitStack() as on_failure:
            ours = dial_this_machine(address)
            if ours is not None:
                on_failure.enter_context(ours)
            connection = _log_in(server, ours, context)
            on_failure.pop_all()
    except ssl.SSLError as error:
        raise failed_tls(error, address) from error
    except (OSError, struct.error, UnicodeDecodeError) as error:
        # pg8000 lets some through as they are: of a server that closes at once, or is none.
        raise _driver().InterfaceError(f"no connection: {error}") from error
    return connection


def _log_in(server: Server, ours: socket.socket | None, context: ssl.SSLContext | None) -> Any:
    """Over the connection that is `ours`, or over one that pg8000 makes."""
    address, driver = server.address, _driver()
    if ours is not None:  # as pg8000 sets up its own
        ours.settimeout(SOCKET_SECONDS)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    try:
        return driver.connect(
            user=address.user,
            host=address.host,
            port=address.port,
            database=address.database,
            # pg8000 fails over None when the server asks after all.
            password=server.password() or "",
            unix_sock=address.socket_file,
            sock=ours,
            ssl_context=context or False,
            timeout=SOCKET_SECONDS,
            application_name="inboxd",
        )
    except driver.InterfaceError as error:
        # The server said why and closed; pg8000 says good-bye to it and fails once more.
        said = _first_word(error)
        if said is None and "refuses SSL" in str(error):
            raise refused_tls(address) from error
        raise (said or error) from None


def _driver() -> Any:
    from pg8000 import dbapi  # noqa: PLC0415 - an extra

    return dbapi


def _first_word(error: BaseException) -> BaseException | None:
    """What the server itself said, if it is among what led to this error."""
    earlier = error.__cause__ or error.__context__
    while earlier is not None and not _code(earlier):
        earlier = earlier.__cause__ or earlier.__context__
    return earlier


def _set_up(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for setting in SETTINGS:
        cursor.execute(setting)
    cursor.close()
    connection.commit()


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("writing", True):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


def _note_loss(context: ExceptionContext) -> None:
    """A server that says good-bye is gone, too: the connection is not used again."""
    if _code(context.original_exception).startswith("57P"):
        context.is_disconnect = True


# What errors mean ------------------------------------------------------------------------------

_CHECK_SERVER = (
    "See that PostgreSQL runs and that [state] database is right; a running inboxd tries again "
    "by itself. Your mail is not affected."
)
_CHECK_PASSWORD = (
    "Check the user in [state] database and the password: in a file that only you can read "  # noqa: S105 - none
    "(database_password_file in [state]), in the systemd credential inboxd.database_password, "
    "or in the keyring."
)
_OWNER = "Let the database belong to the user that [state] database names."

_MEANINGS: tuple[tuple[str, type[StateError], str], ...] = (
    ("28", StateError, _CHECK_PASSWORD),  # invalid authorization
    ("3D000", StateError, "Create the database: createdb --owner USER DATABASE"),
    ("3F000", StateError, _OWNER),  # no schema that we may use
    ("42501", StateError, _OWNER),  # insufficient privilege
    ("25006", StateError, "Name a server that may be written to; this one is a stand-by."),
    ("40", StateError, _CHECK_SERVER),  # rolled back by the server, for instance a deadlock
    ("55P03", StateError, "Another inboxd writes for very long; see: inboxd status"),
    ("57014", StateError, _CHECK_SERVER),  # cancelled
    ("53", DatabaseUnreachable, "See that the database server has free space and connections."),
    ("57P", DatabaseUnreachable, _CHECK_SERVER),  # shut down, starting up, crashed
    ("08", DatabaseUnreachable, _CHECK_SERVER),  # the connection
    ("58", DatabaseUnreachable, _CHECK_SERVER),  # the server's own system
    ("XX", DatabaseBroken, DatabaseBroken.next_step),
)
"""Beginning of the SQLSTATE (PostgreSQL's documentation, appendix A): error, next step."""


def is_of_server(error: DBAPIError) -> bool:
    """Whether PostgreSQL or its driver raised this."""
    return type(error.orig).__module__.startswith("pg8000")


def meaning(error: DBAPIError) -> StateError | None:
    """What an error of PostgreSQL means to the user; None: a bug of the program.

    The server's own sentence is quoted, never its details, which hold values.
    """
    code = _code(error.orig)
    if not code:
        return _without_code(error)
    message = str(_fields(error.orig).get("M", "")).rstrip(".")
    for beginning, kind, next_step in _MEANINGS:
        if code.startswith(beginning):
            return kind(
                f"The database server refused an operation: {message} ({code}).",
                next_step=next_step,
            )
    return None


def _without_code(error: DBAPIError) -> StateError | None:
    """Of the driver itself: the way to the server."""
    if "InterfaceError" not in type(error.orig).__name__:
        return None
    return DatabaseUnreachable(
        f"The database server cannot be reached: {str(error.orig).rstrip('.')}.",
        next_step=_CHECK_SERVER,
    )


def _fields(error: BaseException | None) -> dict[str, Any]:
    """The fields of the server's message (PostgreSQL's documentation, 55.8)."""
    found = error.args[0] if error is not None and error.args else None
    return found if isinstance(found, dict) else {}


def _code(error: BaseException | None) -> str:
    return str(_fields(error).get("C", ""))
