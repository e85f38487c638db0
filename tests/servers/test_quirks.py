"""What one server does differently from all others, and what inboxd makes of it."""

from __future__ import annotations

import contextlib
import socket

import pytest

from daemon.errors import CommandRefused, FolderMissing, MailboxUnreachable
from tests.contract.mails import mail
from tests.support.inventory import digest, read_inventory
from tests.support.mail_servers import RunningServers, ServerAccount, server_parameters


@pytest.mark.parametrize("name", server_parameters(["cyrus"]))
def test_the_eleventh_identical_mail_is_refused_and_stays(
    name: str, servers: RunningServers
) -> None:
    """Cyrus takes ten in a folder: CommandRefused, and the mail is where it was, once."""
    account = servers.account(name)
    with contextlib.closing(account.person()) as person:
        person.create("Ziel")
        for _ in range(10):
            person.append("Ziel", mail(1))
        uid = person.append("INBOX", mail(1))
    with contextlib.closing(account.connect()) as mailbox:
        validity = mailbox.snapshot("INBOX").uid_validity
        with pytest.raises(CommandRefused):
            mailbox.move("INBOX", validity, [uid], "Ziel")
        assert mailbox.snapshot("INBOX").uids == (uid,)
        assert mailbox.status("Ziel").messages == 10


@pytest.mark.parametrize("name", server_parameters(usual=("dovecot", "pymap", "gmail")))
def test_a_mail_that_another_client_expunged_is_never_read(
    name: str, servers: RunningServers
) -> None:
    """Courier serves a mail of its own in its place: nothing must be learnt from that."""
    account = servers.account(name)
    with contextlib.closing(account.person()) as person:
        uids = [person.append("INBOX", mail(number)) for number in range(3)]
        with contextlib.closing(account.connect()) as mailbox:
            snapshot = mailbox.snapshot("INBOX")
            messages = mailbox.fetch("INBOX", snapshot.uid_validity, uids, 1000)
            person.delete("INBOX", uids[:2])
            fetched = [message.content for message in messages]
            identified = mailbox.identify("INBOX", snapshot.uid_validity, uids)
    assert fetched == [mail(2)]
    assert [identity.uid for identity in identified] == uids[2:]


@pytest.mark.parametrize("name", server_parameters(usual=("dovecot", "pymap", "gmail")))
def test_a_folder_that_is_deleted_while_it_is_open_is_an_error_of_ours(
    name: str, servers: RunningServers
) -> None:
    """The server hangs up or says NO; a new connection does not see the folder."""
    account = servers.account(name)
    folder = account.kind.path("Ziel")
    with contextlib.closing(account.person()) as person:
        person.create(folder)
        uid = person.append(folder, mail(1))
        with contextlib.closing(account.connect()) as mailbox:
            validity = mailbox.snapshot(folder).uid_validity
            person.remove(folder)
            with pytest.raises((FolderMissing, MailboxUnreachable)):
                mailbox.identify(folder, validity, [uid])
    with contextlib.closing(account.connect()) as mailbox, pytest.raises(FolderMissing):
        mailbox.snapshot(folder)


@pytest.mark.parametrize("name", server_parameters(usual=("dovecot", "pymap", "gmail")))
def test_the_connection_sends_small_packets_at_once(name: str, servers: RunningServers) -> None:
    """TCP_NODELAY: Cyrus and Courier would let each command wait 45 ms."""
    with contextlib.closing(servers.account(name).connect()) as mailbox:
        connection = mailbox._wire._client.socket()
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def _contents(account: ServerAccount, folder: str) -> list[str]:
    where = account.server.host, account.server.port
    found = read_inventory(*where, account.user, account.password)
    return [message.digest for message in found[folder]]


@pytest.mark.parametrize("name", server_parameters(usual=("dovecot", "pymap", "gmail")))
def test_a_name_that_the_server_refuses_harms_nothing(name: str, servers: RunningServers) -> None:
    """Whatever is asked for, it is made under exactly that name, or refused with a NO."""
    account = servers.account(name)
    with contextlib.closing(account.person()) as person:
        person.append("INBOX", mail(1))
    with contextlib.closing(account.connect()) as mailbox:
        for odd in ('"neu"', "a\\b", "100%", "Flug 🛫", "a/b", "a.b", "~", "a" * 300):
            folder = account.kind.path(odd)
            try:
                mailbox.create(folder)
            except CommandRefused:
                assert folder not in [found.name for found in mailbox.folders()]
            else:
                assert folder in [found.name for found in mailbox.folders()]
    assert _contents(account, "INBOX") == [digest(mail(1))]
