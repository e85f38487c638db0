"""A state directory and a database on a server belong together, and to nobody else.

Models lie in the directory and name folders by the row numbers of the database. With another
database they would name other folders, and mail would be moved there. So both carry the same
random token, and what does not fit is refused. SQLite's file lies in the directory itself.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, select

from classifier.manifest import replace_private
from daemon.errors import StateError
from daemon.store.tables import Installation

PAIRING_NAME = "database.json"
"""The file with the token; while it is there, no SQLite database is opened or made there."""


def pair(engine: Engine, directory: Path, remains: list[str]) -> None:
    """Check that both belong together; a new database is taken if the directory has no state.

    `remains` are the names of what the directory holds of another database. Raises `StateError`.
    """
    with engine.execution_options(writing=False).connect() as connection:
        kept = token_in(connection)
    if kept is None:
        with engine.begin() as connection:
            kept = token_in(connection)  # another process may have been faster
            if kept is None:
                kept = _take(connection, directory, remains)
    if kept != token_of(directory):
        raise StateError(
            f"The database belongs to another state directory than {directory}.",
            next_step="Set [state] dir and [state] database to what belongs together; each "
            "state directory needs a database of its own. If that directory is lost and this one "
            f'is empty, take the database over by writing {{"token": "{kept}"}} into '
            f"{directory / PAIRING_NAME}, then run: inboxd learn",
        )


def _take(connection: Connection, directory: Path, remains: list[str]) -> str:
    if remains:
        raise StateError(
            f"The database is new, but {directory} holds a state already ({', '.join(remains)}), "
            "which does not fit it.",
            next_step="To take that state along: make a backup with the former [state] database "
            "(inboxd backup), then run: inboxd restore FILE --replace. Else set [state] dir to "
            "an empty directory.",
        )
    return mark(connection, directory)


def mark(connection: Connection, directory: Path) -> str:
    """Give a database without a token that of the directory; the caller commits."""
    token = token_of(directory) or secrets.token_hex(16)
    # The file first: a token in the file alone does no harm.
    replace_private(directory / PAIRING_NAME, json.dumps({"token": token}).encode())
    connection.execute(insert(Installation).values(id=1, token=token))
    return token


def token_in(connection: Connection) -> str | None:
    """That of the database, None while it belongs to nobody."""
    return connection.scalar(select(Installation.token))


def token_of(directory: Path) -> str | None:
    """That of the state directory, None when it never had a database on a server."""
    try:
        content = json.loads((directory / PAIRING_NAME).read_text(encoding="utf-8"))
        return str(content["token"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(
            f"{directory / PAIRING_NAME} cannot be read.",
            next_step="Restore it from a copy of the state directory, or restore a backup: "
            "inboxd restore FILE --replace",
        ) from error
