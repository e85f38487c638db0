"""An empty store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new store in a directory of its own."""
    found = Store.open(tmp_path / "state")
    yield found
    found.close()
