"""Every scenario gets a copy of one learnt account, and leaves a line of what came of it.

With INBOXD_RELIABILITY_RESULTS=FILE each test that calls `scenario` appends JSON lines to FILE;
`tools/reliability.py` documents them and makes docs/reliability.md of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.world import World
from tests.faults.world import Learned, learn_once
from tests.support.dovecot import Dovecot
from tests.support.fork_server import ForkServer

Scenario = Callable[..., None]

ACCOUNTS = {f"anja{number}": "secret" for number in range(160)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What uses a server needs one."""
    for item in items:
        if Path(__file__).parent in item.path.parents and "learned" in getattr(
            item, "fixturenames", ()
        ):
            item.add_marker(pytest.mark.dovecot)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """One line per scenario of a test, with its outcome."""
    path = os.environ.get("INBOXD_RELIABILITY_RESULTS")
    if path is None or report.when != "call" or report.skipped:
        return
    lines = [
        json.dumps({**value, "outcome": report.outcome, "date": f"{datetime.now(UTC):%Y-%m-%d}"})
        for name, value in report.user_properties
        if name == "scenario" and isinstance(value, dict)
    ]
    with Path(path).open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


@pytest.fixture
def scenario(request: pytest.FixtureRequest) -> Scenario:
    """`scenario(name, server, runs)`: what this test is a part of, for docs/reliability.md."""

    def note(name: str, server: str = "Dovecot maildir", runs: int = 1) -> None:
        line = {"suite": "faults", "scenario": name, "server": server, "runs": runs}
        request.node.user_properties.append(("scenario", line))

    return note


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT."""
    from tests.support.tiny_bert import tiny_bert_directory  # noqa: PLC0415 - loads torch

    return tiny_bert_directory(tmp_path_factory.mktemp("encoder") / "bert")


@pytest.fixture(scope="session")
def forks(encoder: Path) -> Iterator[ForkServer]:
    """Quick processes."""
    with ForkServer(encoder) as running:
        yield running


@pytest.fixture(scope="session")
def learned(
    forks: ForkServer, encoder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Learned]:
    """The account that all others are copies of."""
    with Dovecot(users={"original": "secret"}) as running:
        found = learn_once(running, tmp_path_factory.mktemp("learned"), forks, encoder)
        yield found
        found.world.close()


@pytest.fixture(scope="session")
def server() -> Iterator[Dovecot]:
    """With MOVE."""
    with Dovecot(users=ACCOUNTS) as running:
        yield running


@pytest.fixture(scope="session")
def server_without_move() -> Iterator[Dovecot]:
    """inboxd has to COPY, STORE and EXPUNGE here."""
    with Dovecot(users=ACCOUNTS, hidden=("MOVE",)) as running:
        yield running


@pytest.fixture
def world(learned: Learned, server: Dovecot, tmp_path: Path) -> Iterator[World]:
    """An account on a server with MOVE."""
    with learned.copy(server, tmp_path) as copied:
        yield copied
