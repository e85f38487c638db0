"""Exchange and Microsoft 365: what is no mail, sizes that are estimates, and "leave me alone"."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from daemon.errors import FolderMissing, LoginRefused, MailboxUnreachable, Throttled
from daemon.mailbox.connection import ConnectionSettings
from daemon.mailbox.imap import ImapMailbox
from daemon.mailbox.port import Mailbox
from daemon.mailbox.responses import LONGEST_THROTTLE, response_code, trouble
from daemon.sorting.folders import FolderPatterns
from daemon.store.tables import Role
from daemon.worker import LONGEST_BACK_OFF, shortest_pause
from tests.support.scripted_server import HANG_UP, ScriptedServer

CAPABILITIES = (
    "* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT "
    "CLIENTACCESSRULES CLIENTNETWORKPRESENCELOCATION BACKENDAUTHENTICATE CHILDREN IDLE NAMESPACE "
    "LITERAL+\r\n{tag} OK CAPABILITY completed."
)
_WHILE_CONNECTING = {
    "EXAMINE": "* 3 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 10]\r\n{tag} OK",
    "UID FETCH": "{tag} BAD Command Argument Error. 11",
}
"""The question for Dovecot's X-GUID, and what Exchange makes of it."""

THROTTLED = "Request is throttled. Suggested Backoff Time: 89117 milliseconds"
HEADER = "Subject: Hallo\r\nMessage-ID: <1@example.org>\r\n\r\n"


@contextmanager
def exchange(**replies: Any) -> Iterator[tuple[ImapMailbox, ScriptedServer]]:
    """A connection to something that looks like Exchange Online; names with _ for a space."""
    named = {name.replace("_", " "): reply for name, reply in replies.items()}
    for name, first in _WHILE_CONNECTING.items():
        if name in named:
            named[name] = [
                first,
                *(named[name] if isinstance(named[name], list) else [named[name]]),
            ]
    with ScriptedServer({"CAPABILITY": CAPABILITIES, **named}) as server:
        settings = ConnectionSettings(server.host, server.port, "none", "anna", "x", 5.0)
        mailbox = ImapMailbox.connect(settings)
        try:
            yield mailbox, server
        finally:
            mailbox.close()


Step = Callable[[Mailbox], object]
STEPS: dict[str, tuple[str, Step]] = {
    "select": ("EXAMINE", lambda mailbox: mailbox.snapshot("INBOX")),
    "status": ("STATUS", lambda mailbox: mailbox.status("INBOX")),
    "statuses": ("STATUS", lambda mailbox: mailbox.statuses(["INBOX", "Reisen", "Rechnungen"])),
    "fetch": ("UID FETCH", lambda mailbox: list(mailbox.fetch("INBOX", 7, [4], 100))),
    "move": ("UID MOVE", lambda mailbox: mailbox.move("INBOX", 7, [4], "Reisen")),
    "search": ("UID SEARCH", lambda mailbox: mailbox.snapshot("INBOX")),
}


@pytest.mark.parametrize("answer", ["NO", "BAD"])
@pytest.mark.parametrize(("command", "step"), STEPS.values(), ids=STEPS)
def test_a_throttled_command_says_how_long_to_wait(command: str, step: Step, answer: str) -> None:
    """Whatever was asked; a folder that cannot be opened for that is not missing. And the
    connection is given up, as Exchange hangs up after it."""
    reply = f"{{tag}} {answer} {THROTTLED}\r\n* BYE Connection closed. 14"
    with exchange(**{command.replace(" ", "_"): reply}) as (mailbox, _):
        with pytest.raises(Throttled) as caught:
            step(mailbox)
        assert caught.value.seconds == pytest.approx(89.117)
        with pytest.raises(MailboxUnreachable):
            mailbox.status("INBOX")


def test_a_goodbye_may_say_it_too() -> None:
    """BYE instead of an answer."""
    with (
        exchange(STATUS=f"* BYE {THROTTLED}\r\n{HANG_UP}") as (mailbox, _),
        pytest.raises(Throttled),
    ):
        mailbox.status("INBOX")


def test_a_throttled_login_is_no_wrong_password() -> None:
    """Neither is one of Gmail's too many connections."""
    for said, kind in (
        (f"NO {THROTTLED}", Throttled),
        ("NO [ALERT] Too many simultaneous connections. (Failure)", MailboxUnreachable),
        ("NO [OVERQUOTA] Account exceeded command or bandwidth limits.", Throttled),
    ):
        with pytest.raises(kind) as caught, exchange(**{"<line>": f"{{tag}} {said}"}):
            pass
        assert not isinstance(caught.value, LoginRefused)


@pytest.mark.parametrize(
    "said",
    ["BAD User is authenticated but not connected.", "BAD Command received in Invalid state."],
)
def test_a_connection_that_is_good_for_nothing_is_given_up(said: str) -> None:
    """To connect anew is what helps; no folder is missing for that."""
    with exchange(EXAMINE=f"{{tag}} {said}") as (mailbox, _):
        with pytest.raises(MailboxUnreachable):
            mailbox.snapshot("INBOX")
        with pytest.raises(MailboxUnreachable):
            mailbox.snapshot("INBOX")


def test_a_refusal_about_the_folder_is_about_the_folder() -> None:
    """As before."""
    reply = "{tag} NO Reisen doesn't exist."
    with exchange(EXAMINE=reply) as (mailbox, _), pytest.raises(FolderMissing):
        mailbox.snapshot("Reisen")


def test_nobody_is_left_alone_for_longer_than_an_hour() -> None:
    """A server may write any number, and the text of others means nothing."""
    error = trouble("NO Request is throttled. Suggested Backoff Time: 999999999999 milliseconds")
    assert isinstance(error, Throttled)
    assert error.seconds == LONGEST_THROTTLE
    assert trouble("NO Suggested Backoff Time: soon") is None
    assert trouble("NO [NONEXISTENT] no such folder") is None


def test_numbers_of_messages_that_are_gone_are_asked_for_again() -> None:
    """Exchange has words where RFC 5530 has EXPUNGEISSUED."""
    assert response_code("BAD The specified message set is invalid.") == "EXPUNGEISSUED"
    with exchange(
        UID_FETCH=[
            "{tag} BAD The specified message set is invalid.",
            _row(size=99),
        ]
    ) as (mailbox, _):
        [found] = mailbox.identify("INBOX", 7, [4])
    assert found.message_id == "1@example.org"


def test_the_size_is_no_part_of_the_fingerprint() -> None:
    """It is an estimate there, which may be another one in another folder."""
    with exchange(UID_FETCH=[_row(size=99), _row(size=105)]) as (mailbox, _):
        [first] = mailbox.identify("INBOX", 7, [4])
        [second] = mailbox.identify("INBOX", 7, [4])
    assert (first.size, second.size) == (99, 105)
    assert first.fingerprint == second.fingerprint


def _row(size: int) -> str:
    return (
        f'* 1 FETCH (UID 4 INTERNALDATE "05-Jan-2026 08:00:00 +0000" RFC822.SIZE {size} '
        f"BODY[HEADER.FIELDS (MESSAGE-ID)] {{{len(HEADER)}}}\r\n{HEADER} "
        "BODY[TEXT]<0> {5}\r\nHallo)\r\n{tag} OK"
    )


def _listed(*names: str) -> str:
    lines = (f'* LIST (\\HasNoChildren) "/" "{name}"' for name in names)
    return "\r\n".join([*lines, "{tag} OK"])


ENGLISH = ("Calendar", "Contacts", "Sync Issues", "Sync Issues/Conflicts", "Outbox", "Tasks")
GERMAN = ("Aufgaben", "Kalender", "Kontakte", "Notizen", "Postausgang")


@pytest.mark.parametrize(
    ("own", "mail"),
    [
        (ENGLISH, ("Aufgaben", "Reisen", "Reisen/Calendar")),
        (GERMAN, ("Tasks", "Reisen", "Reisen/Kalender")),
        ((), ("Aufgaben", "Tasks")),
    ],
    ids=["english", "german", "another language"],
)
def test_folders_without_mail_are_not_watched(own: tuple[str, ...], mail: tuple[str, ...]) -> None:
    """By their names in the language of the mailbox: another language's are people's own."""
    with exchange(
        LIST=_listed("INBOX", *own, *mail), NAMESPACE='* NAMESPACE (("" "/")) NIL NIL\r\n{tag} OK'
    ) as (mailbox, _):
        roles = {info.name: FolderPatterns().role(info) for info in mailbox.folders()}
    assert roles == {"INBOX": Role.INBOX, **dict.fromkeys(own), **dict.fromkeys(mail, Role.LABEL)}


def test_on_other_servers_a_calendar_is_a_folder() -> None:
    """Nothing is told from names alone."""
    with ScriptedServer({"LIST": _listed("INBOX", "Calendar")}) as server:
        settings = ConnectionSettings(server.host, server.port, "none", "anna", "x", 5.0)
        mailbox = ImapMailbox.connect(settings)
        assert all(info.holds_mail for info in mailbox.folders())
        mailbox.close()


def test_a_worker_waits_as_long_as_the_server_wants() -> None:
    """Not two seconds, and not five minutes where it wants more."""
    assert shortest_pause(Throttled("", seconds=89.0)) == 89.0
    assert shortest_pause(LoginRefused("")) == LONGEST_BACK_OFF
    assert shortest_pause(MailboxUnreachable("")) == 0.0
