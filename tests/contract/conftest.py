"""The servers on which the mailbox contract is checked.

Every test gets an account of its own. Servers are started once, when the first test asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from daemon.mailbox.port import Mailbox
from tests.support.fake_mailbox import FakeServer
from tests.support.inventory import Inventory, read_inventory
from tests.support.mail_servers import (
    BARE,
    KINDS,
    RunningServers,
    server_parameters,
    servers,
)
from tests.support.mail_user import User

__all__ = ["servers"]

_BARE = ["fake-bare", "dovecot-bare"]
_FAKES: dict[str, Callable[[], FakeServer]] = {
    "fake": FakeServer,
    "fake-no-move": lambda: FakeServer(hidden=("MOVE",), server_ids=None),
    "fake-bare": lambda: FakeServer(hidden=BARE),
}
_MOVING = [name for name in (*_FAKES, *KINDS) if name not in _BARE]

_CYRUS_NAMES = "Cyrus is built with a list of characters for folder names that lacks it"

LIMITS = {
    ("pymap", "test_an_impossible_folder_is_refused"): "pymap makes a folder without a name",
    ("cyrus", "test_a_folder_can_have_this_name[quote]"): _CYRUS_NAMES,
    ("cyrus", "test_a_folder_can_have_this_name[backslash]"): _CYRUS_NAMES,
    ("cyrus", "test_a_folder_can_have_this_name[percent]"): _CYRUS_NAMES,
    ("courier", "test_a_folder_can_have_this_name[plane]"): (
        "Courier takes no characters beyond the basic plane (surrogate pairs in modified UTF-7)"
    ),
}
"""What a server cannot do, test by test; strictly: a limit that is gone fails the suite."""


@dataclass
class Backend:
    """One account on one server, seen from all sides."""

    name: str
    user: User
    open_mailbox: Callable[[], Mailbox]
    inventory: Callable[[], Inventory]
    prefix: str = ""
    delimiter: str = "/"
    labels: bool = False
    opened: list[Mailbox] = field(default_factory=list)

    def connect(self) -> Mailbox:
        """A new connection of inboxd; it is closed after the test."""
        mailbox = self.open_mailbox()
        self.opened.append(mailbox)
        return mailbox

    def path(self, *parts: str) -> str:
        """A folder name as this server spells it."""
        return self.prefix + self.delimiter.join(parts)

    def folder(self, *parts: str) -> str:
        """Like `path`; the folder is made."""
        name = self.path(*parts)
        self.user.create(name)
        return name


@pytest.fixture(params=server_parameters([*_MOVING, *_BARE]))
def backend(request: pytest.FixtureRequest, servers: RunningServers) -> Iterator[Backend]:
    """Every kind of server."""
    yield from _backend(request, servers)


@pytest.fixture(params=server_parameters(_MOVING))
def moving_backend(request: pytest.FixtureRequest, servers: RunningServers) -> Iterator[Backend]:
    """Servers with MOVE or UIDPLUS, and with IDLE."""
    yield from _backend(request, servers)


@pytest.fixture(params=server_parameters(_BARE))
def bare_backend(request: pytest.FixtureRequest, servers: RunningServers) -> Iterator[Backend]:
    """Servers with neither MOVE nor UIDPLUS nor IDLE nor CONDSTORE."""
    yield from _backend(request, servers)


def _backend(request: pytest.FixtureRequest, servers: RunningServers) -> Iterator[Backend]:
    name: str = request.param
    limit = next((LIMITS[key] for key in LIMITS if key == (name, _test_name(request, name))), None)
    if limit is not None:
        request.applymarker(pytest.mark.xfail(reason=limit, strict=True))
    backend = _make_backend(name, servers)
    try:
        yield backend
    finally:
        for mailbox in backend.opened:
            mailbox.close()
        backend.user.close()


def _test_name(request: pytest.FixtureRequest, backend: str) -> str:
    """The test's name without the backend in its parameters."""
    name: str = request.node.name
    return (
        name.replace(f"[{backend}]", "").replace(f"[{backend}-", "[").replace(f"-{backend}]", "]")
    )


def _make_backend(name: str, servers: RunningServers) -> Backend:
    if name in _FAKES:
        fake = _FAKES[name]()
        return Backend(name, fake, fake.connect, fake.inventory)
    account = servers.account(name)
    where = account.server.host, account.server.port
    return Backend(
        name=name,
        user=account.person(),
        open_mailbox=account.connect,
        inventory=lambda: read_inventory(*where, account.user, account.password),
        prefix=account.kind.prefix,
        delimiter=account.kind.delimiter,
        labels=account.kind.labels,
    )
