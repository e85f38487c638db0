"""What a pass costs is counted in commands, round trips and bytes: clocks say little."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.mailbox.connection import ConnectionSettings
from daemon.mailbox.imap import ImapMailbox
from daemon.sorting.folders import FolderPatterns
from daemon.sorting.observe import Observation, observe
from daemon.store import Store
from tests.contract.mails import mail
from tests.support.counting_proxy import CountingProxy
from tests.support.mail_servers import RunningServers, ServerAccount, server_parameters

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FOLDERS = 1000
MANY = 2000
"""Mails in the large folder; the cost must not depend on the number at all."""

FOLDER_SERVERS = ("dovecot", "dovecot-mdbox", "pymap", "cyrus", "courier")

LARGE_SERVERS = ("dovecot", "dovecot-mdbox", "cyrus", "courier")
"""pymap needs seconds for an APPEND when a folder is large."""


class Watch:
    """inboxd's passes over one account, through a proxy that counts."""

    def __init__(self, account: ServerAccount, store: Store, proxy: CountingProxy) -> None:
        self._account, self._store, self.proxy = account, store, proxy

    def look(self) -> Observation:
        """One pass on a new connection; the proxy counts from nothing."""
        self.proxy.reset()
        account = self._account
        settings = ConnectionSettings(
            "127.0.0.1", self.proxy.port, "none", account.user, account.password, timeout=60
        )
        with contextlib.closing(ImapMailbox.connect(settings)) as mailbox:
            return observe(self._store, mailbox, "private", FolderPatterns(), NOW)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty database."""
    with contextlib.closing(Store.open(tmp_path / "state")) as opened:
        yield opened


@pytest.mark.parametrize("name", server_parameters(FOLDER_SERVERS, usual=("dovecot",)))
def test_a_thousand_folders_cost_few_round_trips(
    name: str, servers: RunningServers, store: Store
) -> None:
    """A pass asks for every folder and waits for the answers to a hundred at a time."""
    account = servers.account(name)
    with contextlib.closing(account.person()) as person:
        for number in range(FOLDERS):
            person._client.create_folder(account.kind.path(f"Ordner {number:04d}"))
        # Courier gives an inbox that never held a mail another UIDVALIDITY every second.
        person.append("INBOX", mail(0))
    with CountingProxy(account.server.port) as proxy:
        watch = Watch(account, store, proxy)
        first = watch.look()
        baseline = proxy.turns
        second = watch.look()

        assert len(first.changes.appeared) >= FOLDERS
        assert (second.scanned, second.delivered, second.noticed) == (0, 0, [])
        assert proxy.commands >= FOLDERS
        assert proxy.turns < FOLDERS / 10
        assert baseline > 0


@pytest.mark.parametrize("name", server_parameters(LARGE_SERVERS, usual=()))
def test_a_large_folder_costs_a_pass_no_more_than_an_empty_one(
    name: str, servers: RunningServers, store: Store
) -> None:
    """STATUS alone tells that nothing has changed; one new mail costs that mail's identity."""
    account = servers.account(name)
    folder = account.kind.path("Rechnungen")
    with CountingProxy(account.server.port) as proxy:
        watch = Watch(account, store, proxy)
        with contextlib.closing(account.person()) as person:
            person.create(folder)
            person.append("INBOX", mail(MANY + 1))  # see above
            watch.look()
            watch.look()
            empty = proxy.commands, proxy.received
            for number in range(MANY):
                person.append(folder, mail(number))
            watch.look()
            watch.look()
            full = proxy.commands, proxy.received

            person.append(folder, mail(MANY))
            one_new = watch.look()

        assert full[0] == empty[0]
        assert full[1] < 1.1 * empty[1]
        assert one_new.scanned == 1
        assert proxy.commands < empty[0] + 8
