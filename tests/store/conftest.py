"""An empty store, once of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.store import Store
from tests.support.stores import KINDS, Stores, stores_of


@pytest.fixture(params=KINDS)
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """SQLite and PostgreSQL."""
    yield from stores_of(request)


@pytest.fixture
def store(stores: Stores, tmp_path: Path) -> Iterator[Store]:
    """A new store in a directory of its own."""
    found = stores.open(tmp_path / "state")
    yield found
    found.close()
