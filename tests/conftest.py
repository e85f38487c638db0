"""Common to all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.postgres import Postgres

# Two test processes share two cores (`make test`): threads of torch that wait for each other
# would take longer than one alone. Set before anything imports torch; the programs that the
# tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """--servers and --server-report."""
    parser.addoption(
        "--servers",
        choices=("usual", "all"),
        default="usual",
        help="mail servers to test with: Dovecot and pymap, or Cyrus and Courier too",
    )
    parser.addoption(
        "--server-report", type=Path, help="write what was tested on which server to this file"
    )


def pytest_configure(config: pytest.Config) -> None:
    """The report is written by the process that sees all tests."""
    path = config.getoption("--server-report")
    if path is not None and not hasattr(config, "workerinput"):
        from tests.support.server_report import ServerReport  # noqa: PLC0415 - after OMP is set

        config.pluginmanager.register(ServerReport(path))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests on servers that were not asked for."""
    if config.getoption("--servers") == "all":
        return
    others = [item for item in items if item.get_closest_marker("servers")]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL for all tests of this process; they are skipped where there is none."""
    from tests.support import postgres as support  # noqa: PLC0415 - after OMP is set

    reason = support.why_not()
    if reason is not None:
        pytest.skip(reason)
    with support.running_postgres() as server:
        yield server
