"""Every mail server that the tests know, by name, and which of them are running.

`make test` uses the usual ones, Dovecot and pymap; `make test-servers` uses all, with Cyrus and
Courier, which only root can install and start (`--servers all`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from daemon.mailbox.connection import ConnectionSettings
from daemon.mailbox.imap import ImapMailbox
from tests.support.courier import Courier
from tests.support.cyrus import Cyrus
from tests.support.dovecot import Dovecot
from tests.support.gmail_server import VIEWS, GmailServer
from tests.support.mail_user import MailUser
from tests.support.pymap_server import PymapServer

BARE = ("MOVE", "UIDPLUS", "IDLE", "CONDSTORE", "QRESYNC")
"""What dovecot-bare does not announce."""


class MailServer(Protocol):
    """A running server, whatever it is."""

    host: str
    port: int
    users: dict[str, str]
    """User name to password."""


@dataclass(frozen=True)
class Kind:
    """One server and how it is set up. `usual`: part of `make test`."""

    name: str
    title: str
    make: Callable[[Mapping[str, str]], AbstractContextManager[MailServer]]
    prefix: str = ""
    delimiter: str = "/"
    usual: bool = True
    accounts: int = 300
    """How many accounts it gets; each test uses one up."""
    labels: bool = False
    """A folder holds a mail once, however often it is copied there."""
    views: tuple[str, ...] = ()
    """Folders that show mail which lies elsewhere."""

    def path(self, *parts: str) -> str:
        """A folder name as this server spells it."""
        return self.prefix + self.delimiter.join(parts)


_KINDS = (
    Kind("dovecot", "Dovecot, maildir", lambda users: Dovecot(users=users)),
    Kind(
        "dovecot-mdbox",
        "Dovecot, mdbox",
        lambda users: Dovecot(users=users, mailbox_format="mdbox"),
    ),
    Kind(
        "dovecot-namespace",
        "Dovecot, maildir++, prefix INBOX.",
        lambda users: Dovecot(
            users=users,
            separator=".",
            prefix="INBOX.",
            mailbox_format="maildir++",
            special_use=False,
        ),
        prefix="INBOX.",
        delimiter=".",
    ),
    Kind(
        "dovecot-dots",
        "Dovecot, mdbox, separator .",
        lambda users: Dovecot(users=users, separator=".", mailbox_format="mdbox"),
        delimiter=".",
        usual=False,
    ),
    Kind(
        "dovecot-no-move",
        "Dovecot, MOVE hidden",
        lambda users: Dovecot(users=users, hidden=("MOVE",)),
    ),
    Kind(
        "dovecot-no-uidplus",
        "Dovecot, UIDPLUS hidden",
        lambda users: Dovecot(users=users, hidden=("UIDPLUS",)),
        usual=False,
    ),
    Kind(
        "dovecot-bare",
        "Dovecot, MOVE, UIDPLUS, IDLE, CONDSTORE hidden",
        lambda users: Dovecot(users=users, hidden=BARE),
    ),
    Kind("pymap", "pymap", lambda _users: PymapServer(), accounts=1),
    Kind(
        "gmail",
        "Gmail, as documented",
        # The tests flag mail as deleted and look at it, which the usual setting does not leave.
        lambda users: GmailServer(users, auto_expunge=False),
        labels=True,
        views=VIEWS,
    ),
    Kind(
        "gmail-no-move",
        "Gmail, as documented, MOVE and UIDPLUS hidden",
        lambda users: GmailServer(users, auto_expunge=False, hidden=("MOVE", "UIDPLUS")),
        labels=True,
        views=VIEWS,
    ),
    Kind("cyrus", "Cyrus", lambda users: Cyrus(users=users), usual=False, accounts=120),
    Kind(
        "courier",
        "Courier",
        lambda users: Courier(users=users),
        prefix="INBOX.",
        delimiter=".",
        usual=False,
    ),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _KINDS}


@dataclass(frozen=True)
class ServerAccount:
    """One account on one running server."""

    kind: Kind
    server: MailServer
    user: str

    @property
    def password(self) -> str:
        """Its password."""
        return self.server.users[self.user]

    @property
    def settings(self) -> ConnectionSettings:
        """How inboxd reaches it."""
        host, port = self.server.host, self.server.port
        return ConnectionSettings(host, port, "none", self.user, self.password, timeout=20)

    def connect(self) -> ImapMailbox:
        """A new connection of inboxd."""
        return ImapMailbox.connect(self.settings)

    def person(self) -> MailUser:
        """A new connection of the account's owner."""
        return MailUser(self.server.host, self.server.port, self.user, self.password)


class RunningServers:
    """Servers by name; each is started when the first test asks for it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._running: dict[str, tuple[MailServer, Iterator[str]]] = {}

    def account(self, name: str) -> ServerAccount:
        """An account that holds nothing. pymap has only one, which is emptied."""
        kind = KINDS[name]
        if name not in self._running:
            users = {f"user{number}": "secret" for number in range(kind.accounts)}
            server = self._stack.enter_context(kind.make(users))
            self._running[name] = server, iter(server.users)
        server, accounts = self._running[name]
        user = next(accounts, None) if kind.accounts > 1 else next(iter(server.users))
        assert user is not None, f"all accounts of {name} are used up: give it more"
        account = ServerAccount(kind, server, user)
        if kind.accounts == 1:
            with contextlib.closing(account.person()) as person:
                person.empty()
        return account


@pytest.fixture(scope="session")
def servers() -> Iterator[RunningServers]:
    """All servers of this run; they end with it. Test directories import this fixture."""
    with ExitStack() as stack:
        yield RunningServers(stack)


USUAL = tuple(name for name, kind in KINDS.items() if kind.usual)


def server_parameters(names: Iterable[str] = KINDS, usual: Collection[str] = USUAL) -> list[Any]:
    """Parameters for tests on these servers, marked with what each needs; in `make test` only
    those in `usual`.

    All tests on one server go to one test process, so that it is started once.
    """
    return [pytest.param(name, marks=_marks(name, usual)) for name in names]


def _marks(name: str, usual: Collection[str]) -> list[pytest.MarkDecorator]:
    marks = [pytest.mark.xdist_group(name)]
    if name.startswith("dovecot"):
        marks.append(pytest.mark.dovecot)
    if name in KINDS and name not in usual:
        marks.append(pytest.mark.servers)
    return marks
