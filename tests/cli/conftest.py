"""The installed command without an encoder, and mostly without a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Home
from tests.support.dovecot import Dovecot
from tests.support.running import free_port


@pytest.fixture
def bare_home(tmp_path: Path) -> Home:
    """A user who has just installed inboxd."""
    return Home(tmp_path)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A user with a configuration for a server that is down, in mode sort."""
    home = Home(tmp_path)
    home.configure(free_port(), "alice", "s3cret-pässword")
    return home


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    """A Dovecot with one account, in which there is one label folder."""
    with Dovecot(users={"alice": "s3cret-pässword"}) as running:
        running.doveadm("mailbox", "create", "-u", "alice", "Rechnungen", "[bug] reports")
        yield running
