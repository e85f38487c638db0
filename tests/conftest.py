"""Common to all tests."""

from __future__ import annotations

import os

import pytest

# Two test processes share two cores (`make test`): threads of torch that wait for each other
# would take longer than one alone. Set before anything imports torch; the programs that the
# tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """--servers."""
    parser.addoption(
        "--servers",
        choices=("usual", "all"),
        default="usual",
        help="mail servers to test with: Dovecot and pymap, or Cyrus and Courier too",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests on servers that were not asked for."""
    if config.getoption("--servers") == "all":
        return
    others = [item for item in items if item.get_closest_marker("servers")]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]
