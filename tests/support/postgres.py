"""A PostgreSQL of our own: one server for a test run, a new database for each test.

Debian's programs, in a directory of their own, on a socket and on a free port of 127.0.0.1.
PostgreSQL refuses root, so for root it runs as the user that its package made.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pg8000 import dbapi

from daemon.database_address import DatabaseAddress
from daemon.store import Server
from tests.support.certificates import Certificate
from tests.support.running import free_port

ROLE = "inboxd"
"""May own databases, and nothing else."""

PASSWORD = "correct horse battery staple"

_DEBIAN = Path("/usr/lib/postgresql")
"""Holds a directory per version."""

_NO_WAITING = (
    "fsync=off",
    "full_page_writes=off",
    "shared_buffers=32MB",
    "max_connections=50",
    "autovacuum=off",
    "timezone=Europe/Berlin",
    "log_min_messages=fatal",
)
"""Nothing of this server has to survive a power cut. The time zone is none that we ask for."""


def find_programs() -> Path | None:
    """The directory of initdb, pg_ctl and postgres, of the newest version."""
    found = {int(path.parts[-3]): path.parent for path in _DEBIAN.glob("*/bin/initdb")}
    if found:
        return found[max(found)]
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path is not None else None


def why_not() -> str | None:
    """Why no PostgreSQL can be started here; None when one can."""
    if find_programs() is None:
        return "PostgreSQL is not installed (see tools/ensure_postgres.py)"
    if os.geteuid() == 0 and _user() is None:
        return "PostgreSQL refuses root, and there is no user postgres"
    return None


def _user() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return None


@dataclass(slots=True)
class Postgres:
    """A server that was started here."""

    root: Path
    port: int
    spare: list[str] = field(default_factory=list)
    """Databases with the present schema that nobody uses any more."""
    settings: tuple[str, ...] = ()
    """Beyond `_NO_WAITING`, from the next start on."""
    _programs: Path = field(default_factory=lambda: find_programs() or Path())
    _process: subprocess.Popen[bytes] | None = None
    _databases: int = 0

    def initialise(self) -> None:
        """Make the cluster; the socket needs no password, the port does."""
        if os.geteuid() == 0:
            user = _user()
            assert user is not None
            os.chown(self.root, user.pw_uid, user.pw_gid)
        self._run(
            "initdb", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres",
            "--auth-local=trust", "--auth-host=scram-sha-256", "--pgdata", str(self.root / "data"),
        )  # fmt: skip

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = [each for setting in (*_NO_WAITING, *self.settings) for each in ("-c", setting)]
        self._process = subprocess.Popen(
            [
                str(self._programs / "postgres"), "-D", str(self.root / "data"),
                "-k", str(self.root), "-h", "127.0.0.1", "-p", str(self.port), *options,
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=(self.root / "log").open("ab"), **self._identity(),
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                self.execute("SELECT 1")
            except dbapi.Error:
                assert self._process.poll() is None, (self.root / "log").read_text()
                assert time.monotonic() < deadline, (self.root / "log").read_text()
                time.sleep(0.05)
            else:
                return

    def stop(self, mode: str = "immediate") -> None:
        """ "fast" ends transactions, "immediate" is like a crash."""
        if self._process is not None:
            self._run("pg_ctl", "stop", "--wait", "-m", mode, "-D", str(self.root / "data"))
            self._process.wait(60)
            self._process = None

    def encrypt(self, certificate: Certificate) -> None:
        """Start it anew; by the network it speaks TLS as well, with this certificate."""
        self.stop("fast")
        for name, source in (("server.crt", certificate.file), ("server.key", certificate.key)):
            target = self.root / "data" / name
            target.write_bytes(source.read_bytes())
            target.chmod(0o600)
            if os.geteuid() == 0:
                shutil.chown(target, self.root.owner(), self.root.group())
        self.settings = ("ssl=on",)
        self.start()

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """As the superuser, outside a transaction."""
        connection = dbapi.connect(
            user="postgres", database=database, unix_sock=str(self.root / f".s.PGSQL.{self.port}")
        )
        try:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def new_database(self, template: str = "template0", locale: str | None = None) -> str:
        """An empty database (or a copy of one) that belongs to `ROLE`; returns its name."""
        self._databases += 1
        name = f"{template.removesuffix('0')}_{self._databases}"
        where = f" LOCALE_PROVIDER icu ICU_LOCALE '{locale}'" if locale else ""
        self.execute(f"CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {template}{where}")
        return name

    def through_socket(self, database: str) -> Server:
        """As a service on the same machine connects: without a password."""
        return Server(
            DatabaseAddress(ROLE, database, self.port, socket=self.root), password=lambda: None
        )

    def by_network(self, database: str, password: str | None = PASSWORD) -> Server:
        """With a password, on the loopback device."""
        return Server(
            DatabaseAddress(ROLE, database, self.port, host="127.0.0.1"), password=lambda: password
        )

    def by_tls(self, database: str, ca_file: Path | None) -> Server:
        """As `by_network`, encrypted and verified."""
        plain = self.by_network(database)
        return replace(plain, address=replace(plain.address, tls=True, ca_file=ca_file))

    def socket_url(self, database: str) -> str:
        """As a configuration names it."""
        return f"postgresql://{ROLE}@:{self.port}/{database}?host={self.root}"

    def network_url(self, database: str) -> str:
        """The same by the network; the password is `PASSWORD`."""
        return f"postgresql://{ROLE}@127.0.0.1:{self.port}/{database}"

    def _run(self, program: str, *arguments: str) -> None:
        found = subprocess.run(
            [str(self._programs / program), *arguments],
            cwd=self.root, capture_output=True, text=True, check=False, timeout=120,
            **self._identity(),
        )  # fmt: skip
        assert found.returncode == 0, found.stdout + found.stderr

    @staticmethod
    def _identity() -> dict[str, Any]:
        user = _user()
        if os.geteuid() != 0 or user is None:
            return {}
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A new server; it and its files are gone afterwards."""
    # Not below pytest's directory: the path of a socket may have about a hundred characters.
    root = Path(tempfile.mkdtemp(prefix="inboxd-pg-"))
    server = Postgres(root, free_port())
    try:
        server.initialise()
        server.start()
        server.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
        yield server
    finally:
        with contextlib.suppress(AssertionError):
            server.stop()
        shutil.rmtree(root, ignore_errors=True)
