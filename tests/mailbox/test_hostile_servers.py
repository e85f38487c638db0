"""Servers that are broken, or mean harm: bounded memory, a typed error, and nothing else."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from daemon.errors import (
    CommandRefused,
    InboxdError,
    LoginRefused,
    MailboxError,
    MailboxUnreachable,
    ProtocolViolated,
)
from daemon.mailbox.bounds import MAX_LINE_BYTES, ReplyLimits
from daemon.mailbox.connection import ConnectionSettings
from daemon.mailbox.folders import MAX_NAME
from daemon.mailbox.imap import FETCH_BYTES, MAX_HEADER_BYTES, ImapMailbox
from tests.support.scripted_server import HANG_UP, SILENCE, Flood, Reply, ScriptedServer

MEGABYTE = 1024 * 1024
MOST_MEMORY = 120 * MEGABYTE
"""By so much the process may grow at its worst, the server that floods it included."""

Step = Callable[[ImapMailbox], object]
Replies = dict[str, Reply | list[str]]
FETCH: Step = lambda mailbox: list(mailbox.fetch("INBOX", 7, [4], 1_000))  # noqa: E731
IDENTIFY: Step = lambda mailbox: mailbox.identify("INBOX", 7, [4])  # noqa: E731
FOLDERS: Step = lambda mailbox: mailbox.folders()  # noqa: E731
SNAPSHOT: Step = lambda mailbox: mailbox.snapshot("INBOX")  # noqa: E731
STATUS: Step = lambda mailbox: mailbox.status("INBOX")  # noqa: E731
MOVE: Step = lambda mailbox: mailbox.move("INBOX", 7, [4], "Ziel")  # noqa: E731
WAIT: Step = lambda mailbox: mailbox.wait("INBOX", 5.0, lambda: False)  # noqa: E731


def account(server: ScriptedServer, timeout: float) -> ConnectionSettings:
    """A connection to the scripted server."""
    return ConnectionSettings(server.host, server.port, "none", "anna", "x", timeout)


@contextmanager
def connected(replies: Replies, timeout: float = 5.0) -> Iterator[ImapMailbox]:
    """A mailbox on a scripted server."""
    with ScriptedServer(replies) as server:
        mailbox = ImapMailbox.connect(account(server, timeout))
        try:
            yield mailbox
        finally:
            mailbox.close()


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Fails when the block needs more than `MOST_MEMORY` at its worst."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # kB on Linux
    assert grown * 1024 < MOST_MEMORY


@pytest.mark.parametrize(
    ("greeting", "replies"),
    [
        (Flood("* OK ", "x"), {}),
        (Flood("", "* OK hi\r\n"), {}),
        (Flood("", "* NO nothing here\r\n"), {}),
        ("* OK hi", {"CAPABILITY": Flood("* CAPABILITY IMAP4rev1", " AUTH=PLAIN")}),
        ("* OK hi", {"CAPABILITY": Flood("", "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")}),
        ("* OK hi", {"AUTHENTICATE": Flood("", "+ \r\n")}),
        ("* OK hi", {"<line>": Flood("", "* OK wait\r\n")}),
    ],
    ids=[
        "greeting-line",
        "greetings",
        "greeting-refusals",
        "capability-line",
        "capabilities",
        "challenges",
        "login-chatter",
    ],
)
def test_a_server_that_never_stops_before_login_is_given_up(
    greeting: Reply, replies: Replies
) -> None:
    """Lines without end and lines without number, from the greeting on."""
    with (
        ScriptedServer(replies, greeting=greeting) as server,
        bounded_memory(),
        pytest.raises(MailboxUnreachable),
    ):
        ImapMailbox.connect(account(server, 5.0))


@pytest.mark.parametrize(
    ("name", "reply", "step"),
    [
        ("UID FETCH", Flood("* 1 FETCH (UID 4 BODY[TEXT]<0> {99999999999}\r\n", "x"), FETCH),
        ("UID FETCH", Flood("* 1 FETCH (UID 4 BODY[TEXT]<0> {400000}\r\n", "x"), FETCH),
        ("UID FETCH", Flood("* 1 FETCH (UID 4 BODY[HEADER]<0> {9000000}\r\n", "x"), FETCH),
        ("UID FETCH", Flood("", "* 1 FETCH (UID 4 FLAGS ())\r\n"), FETCH),
        ("UID FETCH", Flood("", "* 1 FETCH (X {60000}\r\n" + "x" * 60_000 + ")\r\n"), FETCH),
        ("UID FETCH", Flood("* 1 FETCH (X {70000}\r\n", "x"), IDENTIFY),
        ("LIST", Flood("", '* LIST () "/" Ordner\r\n'), FOLDERS),
        ("LIST", Flood('* LIST () "/" {1000000000}\r\n', "x"), FOLDERS),
        ("LIST", Flood('* LIST () "/" "', "x"), FOLDERS),
        ("UID SEARCH", Flood("* SEARCH", " 4"), SNAPSHOT),
        ("UID SEARCH", Flood("", "* SEARCH 4\r\n"), SNAPSHOT),
        ("STATUS", Flood("", "* 1 EXPUNGE\r\n"), STATUS),
        ("UID MOVE", Flood("", "* 1 EXPUNGE\r\n"), MOVE),
        ("IDLE", Flood("", "* OK still here\r\n"), WAIT),
        ("DONE", Flood("", "* 5 EXISTS\r\n"), WAIT),
    ],
)
def test_an_answer_without_end_is_cut_off(name: str, reply: Reply, step: Step) -> None:
    """Literals larger than asked for, responses without number, lines without end."""
    replies: Replies = {
        "STATUS": "* STATUS INBOX (MESSAGES 3 UIDNEXT 10 UIDVALIDITY 7)\r\n{tag} OK",
        "UID SEARCH": "* SEARCH 4\r\n{tag} OK",
        **({"IDLE": "+ idling\r\n* 4 EXISTS\r\n"} if name == "DONE" else {}),
        name: reply,
    }
    with connected(replies) as mailbox, bounded_memory(), pytest.raises(ProtocolViolated):
        step(mailbox)


def test_a_literal_is_refused_before_it_is_read() -> None:
    """Nothing is allocated for what a server only announces; the promise of a gigabyte that
    never comes costs no time-out either."""
    replies: Replies = {"UID FETCH": "* 1 FETCH (UID 4 BODY[TEXT]<0> {1073741824}\r\n"}
    with connected(replies, timeout=250.0) as mailbox, pytest.raises(ProtocolViolated):
        FETCH(mailbox)


def test_an_answer_that_drips_is_given_up() -> None:
    """Each byte comes in time, the whole never does."""
    flood = Flood("* SEARCH", " 4", pause=0.02)
    with connected({"UID SEARCH": flood}, timeout=0.1) as mailbox, pytest.raises(ProtocolViolated):
        SNAPSHOT(mailbox)


def test_silence_after_a_good_login_is_given_up() -> None:
    """LOGIN is answered with OK, and then nothing more."""
    with (
        ScriptedServer({"CAPABILITY": ["* CAPABILITY IMAP4rev1\r\n{tag} OK", SILENCE]}) as server,
        pytest.raises(MailboxUnreachable),
    ):
        ImapMailbox.connect(account(server, 0.2))


@pytest.mark.parametrize("uid", ["0", "4294967296", "18446744073709551616", "9" * 5_000])
def test_impossible_uids_are_no_messages(uid: str) -> None:
    """Zero, negative, beyond 32 bits: nothing of them gets into the database."""
    replies: Replies = {"UID SEARCH": f"* SEARCH 4 {uid}\r\n{{tag}} OK"}
    with connected(replies) as mailbox, pytest.raises(MailboxError):
        SNAPSHOT(mailbox)


def test_a_negative_uid_does_not_come_through() -> None:
    """imapclient reads a SEARCH response as far as it consists of numbers."""
    with connected({"UID SEARCH": "* SEARCH 4 -5\r\n{tag} OK"}) as mailbox:
        assert mailbox.snapshot("INBOX").uids == (4,)


@pytest.mark.parametrize("number", ["-1", "4294967296", "18446744073709551616", "x", "()", "NIL"])
@pytest.mark.parametrize("item", ["MESSAGES", "UIDNEXT", "UIDVALIDITY", "HIGHESTMODSEQ"])
def test_impossible_counts_are_refused(item: str, number: str) -> None:
    """STATUS with numbers that no folder can have."""
    values = {"MESSAGES": "3", "UIDNEXT": "10", "UIDVALIDITY": "7", "HIGHESTMODSEQ": "1"}
    if item == "HIGHESTMODSEQ" and number == "4294967296":
        number = "9223372036854775808"  # RFC 7162 has 63 bits
    answer = " ".join(f"{name} {value}" for name, value in {**values, item: number}.items())
    with (
        connected({"STATUS": f"* STATUS INBOX ({answer})\r\n{{tag}} OK"}) as mailbox,
        pytest.raises(MailboxError),
    ):
        STATUS(mailbox)


@pytest.mark.parametrize("line", ["* 4294967296 EXISTS", "* OK [UIDVALIDITY 18446744073709551616]"])
def test_an_impossible_selection_is_refused(line: str) -> None:
    """The same in the answer to EXAMINE."""
    answer = f"* 3 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n{line}\r\n{{tag}} OK"
    with connected({"EXAMINE": answer}) as mailbox, pytest.raises(MailboxError):
        SNAPSHOT(mailbox)


def test_an_enormous_folder_needs_no_endless_search() -> None:
    """Four thousand million UIDs are looked through with a few hundred commands."""
    answer = "* 4294967295 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 4294967295]\r\n{tag} OK"
    with ScriptedServer({"EXAMINE": answer, "UID SEARCH": "* SEARCH\r\n{tag} OK"}) as server:
        mailbox = ImapMailbox.connect(account(server, 5.0))
        assert SNAPSHOT(mailbox) is not None
        assert 1 < server.commands().count("UID SEARCH") <= 502
        mailbox.close()


def test_absurd_sizes_and_ids_do_not_reach_the_database() -> None:
    """RFC822.SIZE beyond what SQLite can hold, an EMAILID as long as a mail."""
    reply = (
        f"* 1 FETCH (UID 4 EMAILID ({'M' * 5_000}) RFC822.SIZE 99999999999999999999 "
        'INTERNALDATE "05-Jan-2026 08:00:00 +0100" BODY[HEADER.FIELDS (DATE)]<0> {2}\r\n\r\n)\r\n'
        "{tag} OK"
    )
    with connected({"UID FETCH": reply}) as mailbox:
        [found] = mailbox.identify("INBOX", 7, [4])
    assert found.size == 2**63 - 1
    assert found.server_id is None


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        "C:\\Windows",
        "$(reboot)",
        "[red]name[/red]",
        "-rf",
        "'; DROP TABLE folders; --",
    ],
)
def test_a_folder_name_is_only_a_name(name: str) -> None:
    """What looks like a path, an option or markup comes through as it is; names of folders
    never become paths (models lie under the account's name, which is checked)."""
    escaped = name.replace("\\", "\\\\")
    with connected({"LIST": f'* LIST () "/" "{escaped}"\r\n{{tag}} OK'}) as mailbox:
        assert [folder.name for folder in mailbox.folders()] == [name]


@pytest.mark.parametrize(
    "raw",
    [
        '"bell\x07"',
        '"escape\x1b[2J"',
        '"nul\x00"',
        "{4}\r\na\r\nb",
        '"&broken"',
        '"&AAA-"',
        '"&2AA-"',
        '"&Jjo!"',
        '"\udcff\udcfe"',
        '""',
        f'"{"n" * (MAX_NAME + 1)}"',
        f'"{"n" * 900_000}"',
    ],
)
def test_a_folder_that_cannot_be_named_is_left_out(raw: str) -> None:
    """Control characters, broken UTF-7, names as long as books; the others stay usable."""
    lines = f'* LIST () "/" {raw}\r\n* LIST () "/" Rechnungen\r\n{{tag}} OK'
    with connected({"LIST": lines}) as mailbox:
        assert [folder.name for folder in mailbox.folders()] == ["Rechnungen"]


@pytest.mark.parametrize(
    ("replies", "step", "error"),
    [
        ({"UID MOVE": "{tag} NO no such thing"}, MOVE, CommandRefused),
        ({"UID MOVE": "{tag} BAD unknown command"}, MOVE, CommandRefused),
        ({"IDLE": "{tag} BAD unknown command"}, WAIT, CommandRefused),
        ({"IDLE": "{tag} OK already over"}, WAIT, MailboxUnreachable),
        ({"UID FETCH": "x7 OK done"}, FETCH, ProtocolViolated),
        ({"UID FETCH": "+ go ahead\r\n{tag} BAD"}, FETCH, MailboxError),
        ({"UID FETCH": "* 1 FETCH " + "(" * 100_000 + "\r\n{tag} OK"}, FETCH, ProtocolViolated),
        ({"UID FETCH": "* 1 FETCH (UID 4 RFC822.SIZE " + HANG_UP}, FETCH, MailboxUnreachable),
        ({"UID FETCH": "* 1 FETCH (X {-1}\r\n{tag} OK"}, FETCH, MailboxError),
        ({"LIST": "* LIST garbage\r\n{tag} OK"}, FOLDERS, ProtocolViolated),
        ({"STATUS": "{tag} OK"}, STATUS, MailboxError),
        ({"LIST": "{tag} OK " + "x" * (MAX_LINE_BYTES + 1)}, FOLDERS, ProtocolViolated),
    ],
)
def test_lies_and_garbage_end_in_a_typed_error(
    replies: Replies, step: Step, error: type[MailboxError]
) -> None:
    """Capabilities that are not there, tags of nobody, answers of no grammar."""
    with connected(replies, timeout=1.0) as mailbox, pytest.raises(error):
        step(mailbox)


def test_replies_out_of_order_are_not_mixed_up() -> None:
    """The answer to a command that was never sent ends the connection."""
    with ScriptedServer({"SELECT": "{tag} OK [READ-WRITE]\r\n{tag} OK again"}) as server:
        mailbox = ImapMailbox.connect(account(server, 1.0))
        with pytest.raises(MailboxError):
            mailbox.move("INBOX", 7, [4], "Ziel")
        assert "UID MOVE" not in server.commands()


def test_uidplus_that_is_announced_but_not_there_changes_nothing() -> None:
    """COPY without COPYUID: nothing may be removed from the folder."""
    replies: Replies = {
        "CAPABILITY": "* CAPABILITY IMAP4rev1 AUTH=PLAIN UIDPLUS\r\n{tag} OK",
        "UID COPY": "{tag} OK done",
        "UID SEARCH": "* SEARCH 4\r\n{tag} OK",
    }
    with ScriptedServer(replies) as server:
        mailbox = ImapMailbox.connect(account(server, 5.0))
        with pytest.raises(CommandRefused):
            MOVE(mailbox)
        assert not {"UID STORE", "UID EXPUNGE", "EXPUNGE"} & set(server.commands())


@pytest.mark.parametrize(("kilobytes", "at_once"), [(64, 50), (1_024, 12), (10_000, 1)])
def test_one_fetch_asks_for_no_more_than_fits_into_memory(kilobytes: int, at_once: int) -> None:
    """Fifty messages, or 16 MB of headers and bodies, whichever is less."""
    with ScriptedServer({"UID FETCH": "{tag} OK"}) as server:
        mailbox = ImapMailbox.connect(account(server, 5.0))
        assert list(mailbox.fetch("INBOX", 7, range(1, 61), kilobytes * 1024)) == []
        mailbox.close()
        asked = [line.split()[2] for line in server.received if line.startswith("UID FETCH")]
    sizes = [_count(uids) for uids in asked]
    assert sum(sizes) == 60
    assert max(sizes) == at_once
    assert at_once == 1 or at_once * (MAX_HEADER_BYTES + kilobytes * 1024) <= FETCH_BYTES


def _count(uids: str) -> int:
    """Messages in "1:50", "1,2,3" or "7"."""
    ranges = [part.split(":") for part in uids.split(",")]
    return sum(int(each[-1]) - int(each[0]) + 1 for each in ranges)


def test_limits_leave_room_for_honest_mailboxes() -> None:
    """A thousand folders with long names, and the expunge of fifty thousand messages."""
    lines = "".join(f'* LIST () "/" "{number:0200}"\r\n' for number in range(1_000))
    with connected({"LIST": lines + "{tag} OK"}) as mailbox:
        assert len(mailbox.folders()) == 1_000
    assert ReplyLimits().lines >= 50_000


def test_every_error_says_what_to_do_and_none_quotes_the_server() -> None:
    """The server's own words may hold anything, and must not end up in a log."""
    replies: Replies = {"UID FETCH": "* anna@example.org <secret>\r\n{tag} OK"}
    with connected(replies) as mailbox, pytest.raises(InboxdError) as caught:
        FETCH(mailbox)
    assert "secret" not in str(caught.value)
    assert caught.value.next_step
    with (
        ScriptedServer({"<line>": "{tag} NO secret"}) as server,
        pytest.raises(LoginRefused) as refused,
    ):
        ImapMailbox.connect(account(server, 5.0))
    assert "secret" not in str(refused.value)
