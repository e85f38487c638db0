"""Promises about putting a message of our own into a folder, checked on every server."""

from __future__ import annotations

import pytest

from daemon.errors import CommandRefused, FolderMissing
from tests.contract.conftest import Backend
from tests.contract.mails import mail
from tests.support.dovecot import Dovecot
from tests.support.inventory import contents, digest
from tests.support.mail_servers import KINDS, ServerAccount


def test_an_appended_message_lies_there_unchanged_and_unseen(backend: Backend) -> None:
    """Byte for byte, beside what was there, as new mail."""
    backend.user.append("INBOX", mail(1), ["\\Seen"])
    backend.connect().append("INBOX", mail(2, body="Grüße, schöne\r\n.\r\nÖlmühle\r\n"))
    found = backend.inventory()
    wanted = mail(2, body="Grüße, schöne\r\n.\r\nÖlmühle\r\n")
    assert contents(found, "INBOX") == [digest(mail(1)), digest(wanted)]
    assert found["INBOX"][1].flags == frozenset()


def test_the_uid_of_an_appended_message_is_told_or_unknown(backend: Backend) -> None:
    """Where it is told, the message is found by it."""
    mailbox = backend.connect()
    mailbox.append("INBOX", mail(1))
    uid = mailbox.append("INBOX", mail(2))
    if mailbox.capabilities.uidplus:
        assert uid is not None
    if uid is not None:
        validity = mailbox.snapshot("INBOX").uid_validity
        [found] = mailbox.identify("INBOX", validity, [uid])
        assert found.message_id == "mail-2@example.org"


def test_an_appended_message_is_seen_by_the_same_connection(backend: Backend) -> None:
    """Also while the folder is open: it is in the next snapshot."""
    mailbox = backend.connect()
    assert mailbox.snapshot("INBOX").uids == ()
    mailbox.append("INBOX", mail(1))
    assert len(mailbox.snapshot("INBOX").uids) == 1


def test_a_message_is_appended_while_another_folder_is_open(backend: Backend) -> None:
    """And what is open then can still be read."""
    target = backend.folder("Archiv")
    backend.user.append("INBOX", mail(1))
    mailbox = backend.connect()
    found = mailbox.snapshot("INBOX")
    mailbox.append(target, mail(2))
    assert mailbox.snapshot(target).uids != ()
    [one] = mailbox.identify("INBOX", found.uid_validity, found.uids)
    assert one.message_id == "mail-1@example.org"


def test_nothing_can_be_appended_to_a_folder_that_is_missing(backend: Backend) -> None:
    """It is not made by the way."""
    missing = backend.path("Nirgends")
    with pytest.raises(FolderMissing):
        backend.connect().append(missing, mail(1))
    assert missing not in backend.inventory()


@pytest.mark.dovecot
def test_a_full_mailbox_takes_nothing_and_says_why() -> None:
    """The connection is as good as before."""
    with Dovecot(users={"anja": "secret"}, quota="2K") as server:
        mailbox = ServerAccount(KINDS["dovecot"], server, "anja").connect()
        with pytest.raises(CommandRefused) as refused:
            mailbox.append("INBOX", mail(1, body="viel\r\n" * 2000))
        assert refused.value.code == "OVERQUOTA"
        assert mailbox.snapshot("INBOX").uids == ()
        mailbox.close()
