"""A small world with one account, watched from the beginning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sorting.world import World
from tests.support.fake_mailbox import FakeServer
from tests.support.stores import KINDS, Stores, stores_of

BOTH_DATABASES = {"test_mover", "test_observe", "test_sort", "test_undo"}
"""Modules whose tests run on PostgreSQL too; the others go through the same repositories."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test that gets a world, once with each database."""
    if "stores" in metafunc.fixturenames:
        name = metafunc.module.__name__.rpartition(".")[2]
        kinds = KINDS if name in BOTH_DATABASES else KINDS[:1]
        metafunc.parametrize("stores", kinds, indirect=True)


@pytest.fixture
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """Where the database is."""
    yield from stores_of(request)


@pytest.fixture
def world(tmp_path: Path, stores: Stores) -> Iterator[World]:
    """Three label folders and an empty inbox; the inventory is taken."""
    found = World(tmp_path, stores=stores)
    found.notice()
    yield found
    found.store.close()


@pytest.fixture(params=["guid", "content", "none"])
def any_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The same on servers with kept ids, with ids made of the content, and without ids."""
    server = {
        "guid": lambda: FakeServer(server_ids="guid"),
        "content": lambda: FakeServer(server_ids="content"),
        "none": lambda: FakeServer(server_ids=None),
    }[request.param]()
    found = World(tmp_path, server)
    found.notice()
    yield found
    found.store.close()
