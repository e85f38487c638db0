"""The IMAP adapter against answers that real servers give rarely, or must not give at all."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from daemon.errors import CommandRefused, FolderMissing, MailboxUnreachable
from daemon.mailbox.connection import ConnectionSettings, TlsMode
from daemon.mailbox.imap import ImapMailbox
from tests.support.dovecot import Dovecot
from tests.support.inventory import contents, digest, read_inventory
from tests.support.mail_user import MailUser
from tests.support.scripted_server import HANG_UP, SILENCE, ScriptedServer

NO_MOVE = "* CAPABILITY IMAP4rev1 AUTH=PLAIN UIDPLUS OBJECTID\r\n{tag} OK"
FETCHED = (
    '* 1 FETCH (UID 4 EMAILID (M1) INTERNALDATE "05-Jan-2026 08:00:00 +0100" RFC822.SIZE 25 '
    "BODY[HEADER]<0> {15}\r\nSubject: hi\r\n\r\n BODY[TEXT]<0> NIL)\r\n"
)


@contextmanager
def scripted(
    replies: dict[str, str | list[str]], *, timeout: float = 5.0
) -> Iterator[tuple[ImapMailbox, ScriptedServer]]:
    """A mailbox on a scripted server."""
    with ScriptedServer(replies) as server:
        settings = ConnectionSettings(server.host, server.port, "none", "anna", "x", timeout)
        mailbox = ImapMailbox.connect(settings)
        server.received.clear()
        try:
            yield mailbox, server
        finally:
            mailbox.close()


def on_dovecot(dovecot: Dovecot, account: str, tls: TlsMode = "none") -> ImapMailbox:
    """A mailbox on a real server."""
    password = dovecot.users[account]
    port = dovecot.tls_port if tls == "implicit" else dovecot.port
    settings = ConnectionSettings(dovecot.host, port, tls, account, password, 10, dovecot.ca_file)
    return ImapMailbox.connect(settings)


# Moving -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        "* OK [COPYUID 8 4:5 20:21] Moved\r\n* 1 EXPUNGE\r\n{tag} OK",
        "* 1 EXPUNGE\r\n{tag} OK [COPYUID 8 4:5 20:21] Moved",
        "{tag} OK [COPYUID 8 5:4 20,21] Moved [really]",
    ],
)
def test_new_uids_are_read_from_either_answer(reply: str) -> None:
    """Dovecot tells them in an untagged OK, others in the tagged one."""
    with scripted({"UID MOVE": reply}) as (mailbox, _):
        assert mailbox.move("INBOX", 7, [4, 5], "Ziel") == {4: 20, 5: 21}


@pytest.mark.parametrize(
    "code", ["", "[COPYUID 8 4:5 20]", "[COPYUID 8 x y]", "[COPYUID 8 1:4294967295 1:4294967295]"]
)
def test_new_uids_that_cannot_be_read_are_unknown(code: str) -> None:
    """An empty mapping, and certainly not a wrong one."""
    with scripted({"UID MOVE": f"{{tag}} OK {code} Moved"}) as (mailbox, _):
        assert mailbox.move("INBOX", 7, [4, 5], "Ziel") == {}


def test_an_old_answer_is_not_taken_for_the_new_one() -> None:
    """imaplib keeps untagged answers until somebody takes them."""
    late = "{tag} OK\r\n* OK [COPYUID 8 4 20] late\r\n"
    with scripted({"NOOP": late, "UID MOVE": "{tag} OK"}) as (mailbox, _):
        assert mailbox.move("INBOX", 7, [4], "Ziel") == {}


def test_without_move_only_confirmed_copies_are_removed() -> None:
    """Two asked for, one confirmed: only that one is flagged and expunged."""
    replies: dict[str, str | list[str]] = {
        "CAPABILITY": NO_MOVE,
        "UID COPY": "{tag} OK [COPYUID 8 5 20] Done",
        "UID STORE": "{tag} OK",
        "UID EXPUNGE": "* 2 EXPUNGE\r\n{tag} OK",
    }
    with scripted(replies) as (mailbox, server):
        assert mailbox.move("INBOX", 7, [4, 5], "Ziel") == {5: 20}
        assert server.received[-2:] == ["UID STORE 5 +FLAGS.SILENT (\\Deleted)", "UID EXPUNGE 5"]


def test_an_unconfirmed_copy_removes_nothing() -> None:
    """OK without COPYUID while the originals are there: better twice than lost."""
    replies: dict[str, str | list[str]] = {
        "CAPABILITY": NO_MOVE,
        "UID COPY": "{tag} OK Done",
        "UID SEARCH": "* SEARCH 4\r\n{tag} OK",
    }
    with scripted(replies) as (mailbox, server):
        with pytest.raises(CommandRefused):
            mailbox.move("INBOX", 7, [4], "Ziel")
        assert "UID STORE" not in server.commands()


def test_a_folder_where_nothing_can_be_deleted_is_not_copied_from() -> None:
    """PERMANENTFLAGS says so beforehand; Dovecot's STORE would say OK and do nothing."""
    select = (
        "* 3 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 10]\r\n"
        "* OK [PERMANENTFLAGS (\\Seen)]\r\n{tag} OK [READ-WRITE]"
    )
    with scripted({"CAPABILITY": NO_MOVE, "SELECT": select}) as (mailbox, server):
        with pytest.raises(CommandRefused):
            mailbox.move("INBOX", 7, [4], "Ziel")
        with pytest.raises(CommandRefused):
            mailbox.expunge("INBOX", 7, [4])
        assert set(server.commands()) <= {"SELECT", "NOOP"}


def test_a_read_only_folder_is_refused_and_the_connection_lives() -> None:
    """imaplib calls that an abort; it is none."""
    select = "* 3 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n{tag} OK [READ-ONLY]"
    with scripted({"SELECT": select}) as (mailbox, _):
        with pytest.raises(CommandRefused) as caught:
            mailbox.move("INBOX", 7, [4], "Ziel")
        assert caught.value.code == "READ-ONLY"
        assert mailbox.copy("INBOX", 7, [], "Ziel") == {}


@pytest.mark.parametrize(
    ("reply", "error", "code"),
    [
        ("{tag} NO [TRYCREATE] no such folder", FolderMissing, ""),
        ("{tag} NO [OVERQUOTA] anna@example.org is full", CommandRefused, "OVERQUOTA"),
        ("{tag} BAD [CLIENTBUG] what", CommandRefused, "CLIENTBUG"),
        ("{tag} NO no", CommandRefused, ""),
        ("* BYE out of memory" + HANG_UP, MailboxUnreachable, ""),
        (HANG_UP, MailboxUnreachable, ""),
        ("* OK [COPYUID 8 4 2" + HANG_UP, MailboxUnreachable, ""),
        ("gibberish", MailboxUnreachable, ""),
        ("X999 OK done", MailboxUnreachable, ""),
    ],
)
def test_a_failed_move_becomes_an_error_of_ours(
    reply: str, error: type[Exception], code: str
) -> None:
    """With the response code of RFC 5530 and without the server's words."""
    with scripted({"UID MOVE": reply}) as (mailbox, _):
        with pytest.raises(error) as caught:
            mailbox.move("INBOX", 7, [4], "Ziel")
        assert getattr(caught.value, "code", "") == code
        assert "anna" not in str(caught.value)
        if error is MailboxUnreachable:
            with pytest.raises(MailboxUnreachable):
                mailbox.status("INBOX")


def test_a_silent_server_is_given_up_in_the_middle() -> None:
    """After the time-out the connection is dead: a late answer must not reach another call."""
    with scripted({"UID MOVE": SILENCE}, timeout=0.3) as (mailbox, server):
        with pytest.raises(MailboxUnreachable):
            mailbox.move("INBOX", 7, [4], "Ziel")
        with pytest.raises(MailboxUnreachable):
            mailbox.move("INBOX", 7, [4], "Ziel")
        assert server.commands().count("UID MOVE") == 1


# Folders ------------------------------------------------------------------------------------


def test_passing_trouble_is_not_a_missing_folder() -> None:
    """A server that is out of order must not look like one whose folders are gone."""
    replies: dict[str, str | list[str]] = {
        "EXAMINE": "{tag} NO [UNAVAILABLE] later",
        "STATUS": "{tag} NO [SERVERBUG] oops",
    }
    with scripted(replies) as (mailbox, _):
        with pytest.raises(CommandRefused):
            mailbox.snapshot("INBOX")
        with pytest.raises(CommandRefused):
            mailbox.status("Ziel")


def test_uidnext_may_be_missing_in_the_answer_to_examine() -> None:
    """Courier tells it only in STATUS."""
    replies: dict[str, str | list[str]] = {
        "EXAMINE": "* 1 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n{tag} OK",
        "STATUS": "* STATUS INBOX (UIDNEXT 42)\r\n{tag} OK",
        "UID SEARCH": "* SEARCH 4\r\n{tag} OK",
    }
    with scripted(replies) as (mailbox, _):
        snapshot = mailbox.snapshot("INBOX")
    assert (snapshot.uid_next, snapshot.uids) == (42, (4,))


def test_a_message_that_arrives_during_a_snapshot_moves_uidnext() -> None:
    """EXAMINE said 10, the search already finds 10 and 11."""
    with scripted({"UID SEARCH": "* SEARCH 4 11 10\r\n{tag} OK"}) as (mailbox, _):
        snapshot = mailbox.snapshot("INBOX")
    assert (snapshot.uid_next, snapshot.uids) == (12, (4, 10, 11))


def test_a_huge_folder_is_searched_in_windows() -> None:
    """No answer grows over imaplib's limit of a million bytes."""
    replies: dict[str, str | list[str]] = {
        "EXAMINE": ("* 150000 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 180001]\r\n{tag} OK"),
        "UID SEARCH": [
            "* SEARCH 1 90000\r\n{tag} OK",
            "* SEARCH 90001 180000\r\n{tag} OK",
            "* SEARCH 180001\r\n{tag} OK",
        ],
    }
    with scripted(replies) as (mailbox, server):
        assert mailbox.snapshot("INBOX").uids == (1, 90000, 90001, 180000)
    searches = [line for line in server.received if "SEARCH" in line]
    assert searches == [
        "UID SEARCH UID 1:90000 UNDELETED",
        "UID SEARCH UID 90001:180000 UNDELETED",
    ]


@pytest.mark.parametrize(
    ("extension", "expected"),
    [
        ("CONDSTORE", ["EXAMINE", "NOOP", "NOOP", "SELECT", "NOOP"]),
        ("", ["EXAMINE", "EXAMINE", "EXAMINE", "SELECT", "EXAMINE"]),
    ],
)
def test_an_open_folder_is_opened_again_only_without_condstore(
    extension: str, expected: list[str]
) -> None:
    """EXAMINE once, then NOOP; SELECT only for changing. Servers that do not count changes may
    have a namesake open by now: there the folder is opened each time."""
    names = f"IMAP4rev1 AUTH=PLAIN MOVE UIDPLUS OBJECTID {extension}".strip()
    replies: dict[str, str | list[str]] = {
        "CAPABILITY": f"* CAPABILITY {names}\r\n{{tag}} OK",
        "UID SEARCH": "* SEARCH 4\r\n{tag} OK",
        "UID FETCH": FETCHED + "{tag} OK",
        "UID MOVE": "{tag} OK",
    }
    with scripted(replies) as (mailbox, server):
        mailbox.snapshot("INBOX")
        mailbox.identify("INBOX", 7, [4])
        mailbox.identify("inbox", 7, [4])
        mailbox.move("INBOX", 7, [4], "Ziel")
        mailbox.identify("INBOX", 7, [4])
    opened = [name for name in server.commands() if name in {"EXAMINE", "SELECT", "NOOP"}]
    assert opened == expected


@pytest.mark.dovecot
def test_a_created_folder_is_subscribed(dovecot: Dovecot, account: str) -> None:
    """Otherwise some mail programs would not show it."""
    mailbox = on_dovecot(dovecot, account)
    mailbox.create("Bücher/Krimis")
    user = MailUser(dovecot.host, dovecot.port, account, dovecot.users[account])
    assert "Bücher/Krimis" in [name for _, _, name in user._client.list_sub_folders()]
    user.close()
    mailbox.close()


# Fetching -----------------------------------------------------------------------------------


def test_an_empty_body_may_be_nil() -> None:
    """NIL and the empty string mean the same for a body."""
    with scripted({"UID FETCH": FETCHED + "{tag} OK"}) as (mailbox, _):
        [found] = mailbox.fetch("INBOX", 7, [4], 100)
    assert found.content == b"Subject: hi\r\n\r\n"
    assert found.identity.server_id == "M1"
    assert not found.truncated


@pytest.mark.parametrize(
    "row",
    [
        "* 1 FETCH (UID 4 EMAILID (M1) RFC822.SIZE 25 BODY[HEADER]<0> NIL BODY[TEXT]<0> NIL)\r\n",
        "* 1 FETCH (UID 4 FLAGS (\\Seen))\r\n",
        "* 4 FETCH (FLAGS (\\Seen))\r\n",
        "* 1 FETCH (UID 4 EMAILID (M1) RFC822.SIZE 99 BODY[HEADER]<0> {79}\r\n"
        "From: System Administrator <root@localhost>\r\nSubject: message unavailable\r\n\r\n"
        ' BODY[TEXT]<0> "gone")\r\n',
    ],
    ids=["nil", "flags", "flags by number", "stand-in"],
)
def test_what_is_served_for_a_vanished_message_is_left_out(row: str) -> None:
    """NIL from Dovecot, a made-up mail from Courier, unasked flags from anybody."""
    with scripted({"UID FETCH": row + "{tag} OK"}) as (mailbox, _):
        assert list(mailbox.fetch("INBOX", 7, [4], 100)) == []
        assert mailbox.identify("INBOX", 7, [4]) == []


def test_expunged_messages_in_a_chunk_do_not_cost_the_rest() -> None:
    """NO [EXPUNGEISSUED]: look again, then fetch again."""
    answers = ["{tag} NO [EXPUNGEISSUED] some are gone", FETCHED + "{tag} OK"]
    with scripted({"UID FETCH": answers}) as (mailbox, server):
        assert [found.identity.uid for found in mailbox.fetch("INBOX", 7, [3, 4], 100)] == [4]
        assert server.commands()[-3:] == ["UID FETCH", "NOOP", "UID FETCH"]


@pytest.mark.parametrize(
    "answer",
    [
        "* 1 FETCH (UID\r\n{tag} OK",
        "* 1 FETCH ((((((\r\n{tag} OK",
        "* 1 FETCH " + "(" * 5000 + "\r\n{tag} OK",
        '* 1 FETCH (UID 4 X "\r\n{tag} OK',
        "* x FETCH (UID 4)\r\n{tag} OK",
        "* 1 FETCH {99999}\r\n" + HANG_UP,
    ],
)
def test_garbage_ends_the_connection_and_not_the_daemon(answer: str) -> None:
    """Whatever the parser stumbles over becomes MailboxUnreachable."""
    with scripted({"UID FETCH": answer}) as (mailbox, _), pytest.raises(MailboxUnreachable):
        mailbox.identify("INBOX", 7, [4])


# Waiting ------------------------------------------------------------------------------------


def looks(count: int) -> Callable[[], bool]:
    """A `stopped` that gives up after some looks."""
    left = iter(range(count))
    return lambda: next(left, None) is None


@pytest.mark.parametrize(
    "reply",
    ["* 4 EXISTS\r\n+ idling\r\n", "+ idling\r\n* 4 EXISTS\r\n", "+ idling\r\n* 2 EXPUNGE\r\n"],
)
def test_a_change_around_the_beginning_of_idle_is_noticed(reply: str) -> None:
    """Before the continuation, or in the same packet: poll() would never tell of it."""
    with scripted({"IDLE": reply}) as (mailbox, _):
        assert mailbox.wait("INBOX", 60.0, looks(20))


def test_idle_chatter_is_no_change() -> None:
    """ "* OK Still here" wakes nobody, and the waiting goes on."""
    replies: dict[str, str | list[str]] = {
        "IDLE": ["+ idling\r\n* OK Still here\r\n", "+ idling\r\n* 4 EXISTS\r\n"]
    }
    with scripted(replies) as (mailbox, server):
        assert mailbox.wait("INBOX", 60.0, looks(20))
        assert server.commands().count("IDLE") == 2


@pytest.mark.parametrize(
    "reply", ["+ idling\r\n" + HANG_UP, "+ idling\r\n* BYE\r\n" + HANG_UP, HANG_UP]
)
def test_the_end_of_the_connection_ends_the_waiting(reply: str) -> None:
    """Not 125,000 empty answers a second, but an error."""
    with scripted({"IDLE": reply}) as (mailbox, _), pytest.raises(MailboxUnreachable):
        mailbox.wait("INBOX", 60.0, looks(20))


def test_a_refused_idle_is_an_error() -> None:
    """Announced, and refused when it comes to it."""
    with scripted({"IDLE": "{tag} NO [LIMIT] too many"}) as (mailbox, _):
        with pytest.raises(CommandRefused) as caught:
            mailbox.wait("INBOX", 60.0, looks(20))
        assert caught.value.code == "LIMIT"


def test_an_error_in_stopped_leaves_no_connection_in_idle() -> None:
    """What the server says next would be taken for the answer to something else."""

    def broken() -> bool:
        raise ZeroDivisionError

    with scripted({}) as (mailbox, _):
        with pytest.raises(ZeroDivisionError):
            mailbox._wire.idle(60.0, broken)
        with pytest.raises(MailboxUnreachable):
            mailbox.status("INBOX")


@pytest.mark.dovecot
@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_waiting_works_through_encryption(dovecot: Dovecot, account: str, tls: TlsMode) -> None:
    """TLS has buffers of its own, and sends records that are no answer."""
    mailbox = on_dovecot(dovecot, account, tls)
    user = MailUser(dovecot.host, dovecot.port, account, dovecot.users[account])
    mailbox.snapshot("INBOX")
    assert not mailbox.wait("INBOX", 60.0, looks(2))
    looked = iter(range(2))

    def deliver_at_the_second_look() -> bool:
        if next(looked, None) == 1:
            user.append("INBOX", b"Subject: hi\r\n\r\nhello\r\n")
        return False

    assert mailbox.wait("INBOX", 60.0, deliver_at_the_second_look)
    assert len(mailbox.snapshot("INBOX").uids) == 1
    mailbox.close()
    user.close()


@pytest.mark.dovecot
def test_a_killed_session_ends_the_waiting(dovecot: Dovecot, account: str) -> None:
    """The server process dies while we wait."""
    mailbox = on_dovecot(dovecot, account)
    mailbox.snapshot("INBOX")
    [process] = dovecot.session_processes(account)
    looked = iter(range(2))

    def kill_at_the_second_look() -> bool:
        if next(looked, None) == 1:
            os.kill(process, signal.SIGKILL)
        return False

    with pytest.raises(MailboxUnreachable):
        mailbox.wait("INBOX", 60.0, kill_at_the_second_look)
    mailbox.close()


# Servers with limits ------------------------------------------------------------------------


@pytest.mark.dovecot
def test_a_full_account_keeps_its_mail_where_it_is() -> None:
    """COPY over quota is refused, the original is neither flagged nor expunged."""
    with Dovecot(hidden=("MOVE",), quota="30K") as server:
        user = MailUser(server.host, server.port, server.user, server.password)
        content = b"Subject: big\r\n\r\n" + b"x" * 20_000 + b"\r\n"
        uid = user.append("INBOX", content)
        mailbox = on_dovecot(server, server.user)
        before = read_inventory(server.host, server.port, server.user, server.password)
        with pytest.raises(CommandRefused) as caught:
            mailbox.move("INBOX", mailbox.snapshot("INBOX").uid_validity, [uid], "Archive")
        after = read_inventory(server.host, server.port, server.user, server.password)
        mailbox.close()
        user.close()
    assert caught.value.code == "OVERQUOTA"
    assert after == before


@pytest.mark.dovecot
@pytest.mark.parametrize("hidden", [(), ("MOVE",)])
def test_a_folder_without_the_right_to_delete_keeps_its_mail(hidden: tuple[str, ...]) -> None:
    """No copy is made either: the message is in one place before and after."""
    with Dovecot(hidden=hidden, acl=True) as server:
        user = MailUser(server.host, server.port, server.user, server.password)
        user.create("Fest")
        uid = user.append("Fest", b"Subject: stays\r\n\r\nhere\r\n")
        user._client._imap.setacl("Fest", server.user, "lrsip")
        mailbox = on_dovecot(server, server.user)
        with pytest.raises(CommandRefused):
            mailbox.move("Fest", mailbox.snapshot("Fest").uid_validity, [uid], "Archive")
        after = read_inventory(server.host, server.port, server.user, server.password)
        mailbox.close()
        user.close()
    assert contents(after, "Fest") == [digest(b"Subject: stays\r\n\r\nhere\r\n")]
    assert after["Fest"][0].flags == frozenset()
    assert contents(after, "Archive") == []
