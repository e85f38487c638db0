"""A small world with one account, watched from the beginning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sorting.world import World
from tests.support.fake_mailbox import FakeServer


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Three label folders and an empty inbox; the inventory is taken."""
    found = World(tmp_path)
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
