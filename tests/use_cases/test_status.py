"""What `status` says about folders that do not sort yet, and about mail that may lie wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.use_cases.application import Application
from daemon.use_cases.examples import check_examples, relabel
from daemon.use_cases.learn import learn, train
from daemon.use_cases.status import AccountState, status
from tests.support.fake_mailbox import FakeServer
from tests.use_cases.apps import ACCOUNT, TOPICS, closing, make_app, topical

PER_FOLDER = 100
EVERY = 20
"""One mail of so many lies in the next folder."""


def untidy_server() -> FakeServer:
    """Three label folders, alternating in time, with some mail in the wrong one."""
    server = FakeServer()
    names = tuple(TOPICS)
    for name in names:
        server.create(name)
    for number in range(PER_FOLDER):
        for at, name in enumerate(names):
            is_wrong = (number * len(names) + at) % EVERY == EVERY - 1
            folder = names[(at + 1) % len(names)] if is_wrong else name
            server.append(folder, topical(name, number))
    return server


def seen(app: Application) -> AccountState:
    """The account's state."""
    return status(app).accounts[0]


def states(app: Application) -> dict[str, str]:
    """The states of its folders by name."""
    return {folder.folder: folder.state for folder in seen(app).folders}


@pytest.fixture
def untidy(tmp_path: Path, encoder: Path) -> Iterator[Application]:
    """The program, which has learned from these folders and asks for more than they can show."""
    servers = {ACCOUNT: untidy_server()}
    model = {"target_precision": 0.97}
    with closing(make_app(tmp_path / "state", encoder, servers, model=model)) as app:
        learn(app, ACCOUNT)
        yield app


def test_mail_that_may_lie_wrong_is_told_with_what_it_costs(untidy: Application) -> None:
    """How many, how many folders could sort, and where to look."""
    account = seen(untidy)

    assert set(states(untidy).values()) == {"suggesting"}
    assert account.doubted is not None
    assert account.doubted.mails > 0
    assert account.doubted.folders
    [told] = account.warnings
    assert f"{account.doubted.mails} of the newest mails that were filed" in told
    assert f"inboxd examples check --account {ACCOUNT}" in told


def test_put_right_these_folders_sort_and_nothing_is_told_any_more(untidy: Application) -> None:
    """What was promised comes true."""
    before = seen(untidy).doubted
    assert before is not None
    for example in check_examples(untidy, ACCOUNT).examples:
        if example.grade == "bad":
            assert example.better is not None
            relabel(untidy, ACCOUNT, str(example.message), example.better)
    train(untidy, ACCOUNT)

    assert {name for name, state in states(untidy).items() if state == "sorting"} >= set(
        before.folders
    )
    assert seen(untidy).doubted is None
    assert seen(untidy).warnings == ()


def test_a_tidy_mailbox_is_not_doubted(app: Application) -> None:
    """No hint without need."""
    assert seen(app).doubted is None
    assert seen(app).warnings == ()
