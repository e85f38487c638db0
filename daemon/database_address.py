"""Where a PostgreSQL is: `[state] database`, read and checked. Never holds a password.

postgresql://USER@HOST[:PORT]/DATABASE[?sslmode=verify-full|disable][&sslrootcert=FILE]
postgresql://USER@/DATABASE?host=/run/postgresql        through a socket of this machine
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

DEFAULT_PORT = 5432
SOCKET_DIRECTORY = Path("/run/postgresql")
"""Where Debian, Fedora and others have the socket."""

EXAMPLE = "postgresql://inboxd@/inboxd?host=/run/postgresql"
_SCHEMES = ("postgresql", "postgres")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,63}")
_PARAMETERS = {"host", "sslmode", "sslrootcert"}
_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}
_TLS = {"verify-full": True, "disable": False}


class AddressFaulty(Exception):
    """`problem` and `mend` are what the faults of a configuration say."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.mend = mend


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """A database on a server. Either `socket` (a directory) or `host`; `tls` means encrypted,
    with the server's certificate and name checked."""

    user: str
    database: str
    port: int = DEFAULT_PORT
    host: str | None = None
    socket: Path | None = None
    tls: bool = False
    ca_file: Path | None = None

    @property
    def socket_file(self) -> str | None:
        """The socket itself, as PostgreSQL names it."""
        return None if self.socket is None else str(self.socket / f".s.PGSQL.{self.port}")

    def __str__(self) -> str:
        place = f"in {self.socket}" if self.socket is not None else f"at {self.host}:{self.port}"
        return f"PostgreSQL {place}, database {self.database}, user {self.user}"


def read_address(url: str) -> DatabaseAddress:
    """What the URL says. Raises `AddressFaulty`; its texts quote nothing of the URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORT
    except ValueError:
        raise _shape() from None
    if parts.scheme not in _SCHEMES or parts.fragment or not url.startswith(f"{parts.scheme}://"):
        raise _shape()
    if parts.password is not None:
        raise AddressFaulty(
            "must not contain a password",
            "Leave out the colon and what follows it before @, change the password if others "
            "could read this file, and name a file with it: database_password_file.",
        )
    user, database = unquote(parts.username or ""), unquote(parts.path.removeprefix("/"))
    if not _NAME.fullmatch(user) or not _NAME.fullmatch(database):
        raise _shape()
    parameters = _parameters(parts.query)
    place = parts.hostname or parameters.get("host") or str(SOCKET_DIRECTORY)
    if parts.hostname and "host" in parameters:
        raise _shape()
    if place.startswith("/"):
        return DatabaseAddress(user, database, port, socket=Path(place))
    tls = _tls(place, parameters.get("sslmode"))
    ca_file = parameters.get("sslrootcert")
    if ca_file is not None and not (tls and ca_file.startswith("/")):
        raise AddressFaulty(
            "has an sslrootcert that is no whole path, or is not used",
            "Write sslrootcert=/WHOLE/PATH/OF/FILE.pem, for this machine with sslmode=verify-full.",
        )
    return DatabaseAddress(
        user, database, port, host=place, tls=tls, ca_file=Path(ca_file) if ca_file else None
    )


def _parameters(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise _shape() from None
    found = dict(pairs)
    if len(found) < len(pairs) or not found.keys() <= _PARAMETERS:
        raise AddressFaulty(
            "has a parameter after ? that is unknown or given twice",
            "There are host (the directory of a socket), sslmode and sslrootcert.",
        )
    return found


def _tls(host: str, mode: str | None) -> bool:
    """Encrypted and verified, unless the way stays on this machine or somebody says otherwise."""
    if mode is None:
        return host.lower() not in _THIS_MACHINE
    if mode not in _TLS:
        raise AddressFaulty(
            "has an sslmode that inboxd does not know",
            "Write sslmode=verify-full, or sslmode=disable within a network that you trust.",
        )
    return _TLS[mode]


def _shape() -> AddressFaulty:
    return AddressFaulty(
        "is not the address of a PostgreSQL database",
        f'Write for example: "{EXAMPLE}" or "postgresql://inboxd@db.example.org/inboxd".',
    )
