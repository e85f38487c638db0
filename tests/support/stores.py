"""The two databases, for tests that are to hold on both: take the fixture `stores`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pg8000 import dbapi
from sqlalchemy import Engine, text

from daemon.store import DATABASE_NAME, Server, Store
from daemon.store.engine import open_engine
from daemon.store.migrate import upgrade
from daemon.store.postgresql import open_server
from daemon.store.tables import Base
from tests.support.postgres import Postgres

KINDS = ("sqlite", "postgresql")


@dataclass(slots=True)
class Stores:
    """Opens a store in a directory; on PostgreSQL each directory has a database of its own."""

    postgres: Postgres | None = None
    _servers: dict[Path, Server] = field(default_factory=dict)
    _changed: set[Path] = field(default_factory=set)

    @property
    def kind(self) -> str:
        """Which of `KINDS`."""
        return "sqlite" if self.postgres is None else "postgresql"

    def server(self, directory: Path, *, migrated: bool = True) -> Server | None:
        """Where the database of a directory is; made at its first use, on request empty."""
        if self.postgres is None:
            return None
        if directory not in self._servers:
            if migrated:
                name = _migrated(self.postgres)
            else:
                name = self.postgres.new_database()
                self._changed.add(directory)
            self._servers[directory] = self.postgres.through_socket(name)
        return self._servers[directory]

    def close(self) -> None:
        """Leave for the next test the databases whose schema is as it was."""
        for directory, server in self._servers.items():
            if self.postgres is not None and directory not in self._changed:
                self.postgres.spare.append(server.address.database)

    def open(self, directory: Path) -> Store:
        """As the program does."""
        return Store.open(directory, self.server(directory))

    def engine(self, directory: Path) -> Engine:
        """Past the store; the database is empty if the directory has none yet."""
        server = self.server(directory, migrated=False)
        if server is not None:
            return open_server(server)
        directory.mkdir(parents=True, exist_ok=True)
        return open_engine(directory / DATABASE_NAME)

    def execute(self, directory: Path, statement: str, **values: Any) -> list[Any]:
        """Plain SQL, committed."""
        self._changed.add(directory)
        engine = self.engine(directory)
        with engine.begin() as connection:
            found = connection.execute(text(statement), values)
            rows = [tuple(row) for row in found] if found.returns_rows else []
        engine.dispose()
        return rows


def _migrated(postgres: Postgres) -> str:
    """A database without rows: one that a test has left, else a new one."""
    while postgres.spare:
        name = postgres.spare.pop()
        names = ", ".join(Base.metadata.tables)
        try:
            postgres.execute(f"SET lock_timeout = '2s'; TRUNCATE {names} RESTART IDENTITY", name)
        except dbapi.Error:  # somebody still holds it
            continue
        return name
    return postgres.new_database(_template(postgres))


def _template(postgres: Postgres) -> str:
    """A migrated database to copy: that takes a tenth of the time of migrating."""
    if not postgres.execute("SELECT 1 FROM pg_database WHERE datname = 'migrated'"):
        name = postgres.new_database()
        engine = open_server(postgres.through_socket(name))
        upgrade(engine)
        engine.dispose()
        postgres.execute(f"ALTER DATABASE {name} RENAME TO migrated")
    return "migrated"


def stores_of(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """For fixtures with `params=KINDS`."""
    is_sqlite = request.param == "sqlite"
    found = Stores(None if is_sqlite else request.getfixturevalue("postgres"))
    yield found
    found.close()
