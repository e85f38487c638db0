"""The fake's scripted faults behave as the real ones measured on servers."""

from __future__ import annotations

import pytest

from daemon.errors import CommandRefused, LoginRefused, MailboxUnreachable
from tests.contract.mails import mail
from tests.support.fake_mailbox import FakeServer, When


@pytest.mark.parametrize(
    ("when", "in_inbox", "in_target"), [("before", 4, 0), ("midway", 4, 2), ("after", 0, 4)]
)
def test_a_broken_move_has_happened_or_not(when: When, in_inbox: int, in_target: int) -> None:
    """Lost on the way there, killed half-way (both folders), or only the answer lost."""
    server = FakeServer()
    uids = [server.append("INBOX", mail(number)) for number in range(4)]
    mailbox = server.connect()
    validity = mailbox.snapshot("INBOX").uid_validity
    server.fail("move", when=when)
    with pytest.raises(MailboxUnreachable):
        mailbox.move("INBOX", validity, uids, "Archive")
    assert (len(server.uids("INBOX")), len(server.uids("Archive"))) == (in_inbox, in_target)
    with pytest.raises(MailboxUnreachable):
        mailbox.status("INBOX")
    assert server.connect().status("INBOX").messages == in_inbox


def test_a_refused_command_leaves_the_connection_alive() -> None:
    """Any error of ours can be scripted; only MailboxUnreachable kills the connection."""
    server = FakeServer()
    mailbox = server.connect()
    server.fail("status", error=CommandRefused("no", code="LIMIT"))
    with pytest.raises(CommandRefused):
        mailbox.status("INBOX")
    assert mailbox.status("INBOX").messages == 0
    assert server.calls == ["status"]


def test_faults_come_in_turn_and_are_used_up() -> None:
    """A test can see whether all of its faults have struck."""
    server = FakeServer()
    server.fail("connect", error=LoginRefused("no"))
    server.fail("connect")
    assert server.pending_faults() == 2
    with pytest.raises(LoginRefused):
        server.connect()
    with pytest.raises(MailboxUnreachable):
        server.connect()
    server.connect()
    assert server.pending_faults() == 0


def test_a_server_may_keep_the_new_uids_to_itself() -> None:
    """Without COPYUID a move works and its mapping is empty."""
    server = FakeServer(copyuid=False)
    uid = server.append("INBOX", mail(1))
    mailbox = server.connect()
    assert mailbox.move("INBOX", mailbox.snapshot("INBOX").uid_validity, [uid], "Archive") == {}
    assert len(server.uids("Archive")) == 1


def test_server_ids_can_depend_on_the_content() -> None:
    """As on Cyrus: an upload of the same bytes has the same id; on Dovecot it has not."""
    for kind, same in (("content", True), ("guid", False)):
        server = FakeServer(server_ids=kind)  # type: ignore[arg-type]
        uids = [server.append("INBOX", mail(1)) for _ in range(2)]
        mailbox = server.connect()
        first, second = mailbox.identify("INBOX", mailbox.snapshot("INBOX").uid_validity, uids)
        assert (first.server_id == second.server_id) is same
