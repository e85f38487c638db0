"""The wired program, its encoder and its server, for the conftests of the directories that test it.

A module that needs another server or another program has its own fixture of the same name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.use_cases.application import Application
from daemon.use_cases.learn import learn
from tests.support.fake_mailbox import FakeServer
from tests.support.tiny_bert import tiny_bert_directory
from tests.use_cases.apps import ACCOUNT, closing, filled_server, make_app


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a tiny BERT: a real encoder that is made in a moment."""
    return tiny_bert_directory(tmp_path_factory.mktemp("encoder") / "tiny-bert")


@pytest.fixture
def server() -> FakeServer:
    """Three label folders with twelve mails each."""
    return filled_server()


@pytest.fixture
def app(tmp_path: Path, encoder: Path, server: FakeServer) -> Iterator[Application]:
    """The program, which has learned from these folders."""
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: server})) as found:
        learn(found, ACCOUNT)
        yield found
