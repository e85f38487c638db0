"""The servers on which the mailbox contract is checked.

Every test gets an account of its own. Servers are started once, when the first test asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from daemon.mailbox.connection import ConnectionSettings
from daemon.mailbox.imap import ImapMailbox
from daemon.mailbox.port import Mailbox
from tests.support.dovecot import Dovecot
from tests.support.fake_mailbox import FakeServer
from tests.support.inventory import Inventory, read_inventory
from tests.support.mail_user import MailUser, User
from tests.support.pymap_server import PymapServer

_COMPLETE = ["fake", "dovecot", "dovecot-mdbox"]
_MOVING = [*_COMPLETE, "dovecot-namespace", "dovecot-no-move", "fake-no-move", "pymap"]
_BARE = ["fake-bare", "dovecot-bare"]
_BARE_HIDDEN = ("MOVE", "UIDPLUS", "IDLE", "CONDSTORE", "QRESYNC")

_FAKES: dict[str, Callable[[], FakeServer]] = {
    "fake": FakeServer,
    "fake-no-move": lambda: FakeServer(hidden=("MOVE",), server_ids=None),
    "fake-bare": lambda: FakeServer(hidden=_BARE_HIDDEN),
}
_ACCOUNTS = {f"user{number}": "secret" for number in range(300)}
_DOVECOTS: dict[str, Callable[[], Dovecot]] = {
    "dovecot": lambda: Dovecot(users=_ACCOUNTS),
    "dovecot-mdbox": lambda: Dovecot(users=_ACCOUNTS, mailbox_format="mdbox"),
    "dovecot-namespace": lambda: Dovecot(
        users=_ACCOUNTS,
        separator=".",
        prefix="INBOX.",
        mailbox_format="maildir++",
        special_use=False,
    ),
    "dovecot-no-move": lambda: Dovecot(users=_ACCOUNTS, hidden=("MOVE",)),
    "dovecot-bare": lambda: Dovecot(users=_ACCOUNTS, hidden=_BARE_HIDDEN),
}

LIMITS = {
    ("pymap", "test_an_impossible_folder_is_refused"): "pymap makes a folder without a name",
    ("pymap", "test_a_folder_made_anew_is_not_taken_for_the_old_one"): (
        "pymap looks the open folder up by name for every command: the session goes on with the "
        "new folder under the old UIDVALIDITY, against RFC 3501, 2.3.1.1"
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


class Servers:
    """Running servers by name."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._dovecots: dict[str, tuple[Dovecot, Iterator[str]]] = {}
        self._pymap: PymapServer | None = None

    def dovecot(self, name: str) -> tuple[Dovecot, str]:
        """A Dovecot and an account on it that no test has used."""
        if name not in self._dovecots:
            server = self._stack.enter_context(_DOVECOTS[name]())
            self._dovecots[name] = server, iter(server.users)
        server, accounts = self._dovecots[name]
        return server, next(accounts)

    def pymap(self) -> PymapServer:
        """pymap has one account, which is emptied before each test."""
        if self._pymap is None:
            self._pymap = self._stack.enter_context(PymapServer())
        return self._pymap


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """All servers of this run; they end with it."""
    with ExitStack() as stack:
        yield Servers(stack)


def _parameters(names: list[str]) -> list[object]:
    return [
        pytest.param(name, marks=[pytest.mark.dovecot] if name in _DOVECOTS else [])
        for name in names
    ]


@pytest.fixture(params=_parameters([*_MOVING, *_BARE]))
def backend(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Backend]:
    """Every kind of server."""
    yield from _backend(request, servers)


@pytest.fixture(params=_parameters(_MOVING))
def moving_backend(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Backend]:
    """Servers with MOVE or UIDPLUS, and with IDLE."""
    yield from _backend(request, servers)


@pytest.fixture(params=_parameters(_BARE))
def bare_backend(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Backend]:
    """Servers with neither MOVE nor UIDPLUS nor IDLE nor CONDSTORE."""
    yield from _backend(request, servers)


def _backend(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Backend]:
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


def _make_backend(name: str, servers: Servers) -> Backend:
    if name in _FAKES:
        fake = _FAKES[name]()
        return Backend(name, fake, fake.connect, fake.inventory)
    if name in _DOVECOTS:
        dovecot, account = servers.dovecot(name)
        made = _real_backend(name, dovecot.port, account, dovecot.users[account])
        if name == "dovecot-namespace":
            made.prefix, made.delimiter = "INBOX.", "."
        return made
    pymap = servers.pymap()
    made = _real_backend(name, pymap.port, pymap.user, pymap.password)
    assert isinstance(made.user, MailUser)
    made.user.empty()
    return made


def _real_backend(name: str, port: int, account: str, password: str) -> Backend:
    host = "127.0.0.1"
    settings = ConnectionSettings(host, port, "none", account, password, timeout=20)
    return Backend(
        name=name,
        user=MailUser(host, port, account, password),
        open_mailbox=lambda: ImapMailbox.connect(settings),
        inventory=lambda: read_inventory(host, port, account, password),
    )
