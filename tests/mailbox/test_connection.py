"""Connecting: encryption, login, and what must never be sent or written anywhere."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config.values import is_loopback
from daemon.errors import (
    ConfigError,
    LoginRefused,
    MailboxError,
    MailboxUnreachable,
    TlsFailed,
)
from daemon.mailbox.connection import ConnectionSettings, TlsMode
from daemon.mailbox.imap import ImapMailbox
from tests.support.dovecot import Dovecot
from tests.support.scripted_server import HANG_UP, SILENCE, ScriptedServer

PASSWORD = "hunter2-geheim"


def settings(
    server: ScriptedServer, tls: TlsMode = "none", **changes: object
) -> ConnectionSettings:
    """Settings for a scripted server."""
    values: dict[str, object] = {
        "host": server.host,
        "port": server.port,
        "tls": tls,
        "username": "anna@example.org",
        "password": PASSWORD,
        "timeout": 5.0,
    }
    return ConnectionSettings(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.dovecot
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_an_encrypted_connection_is_verified(dovecot: Dovecot, tls: TlsMode) -> None:
    """With the server's certificate at hand it works, by name and by address."""
    port = dovecot.tls_port if tls == "implicit" else dovecot.port
    for host in ("localhost", "127.0.0.1"):
        account = ConnectionSettings(
            host, port, tls, dovecot.user, dovecot.password, 10, dovecot.ca_file
        )
        mailbox = ImapMailbox.connect(account)
        assert mailbox.snapshot("INBOX").uids == ()
        mailbox.close()


@pytest.mark.dovecot
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_an_unknown_certificate_is_refused(dovecot: Dovecot, tls: TlsMode) -> None:
    """Without the certificate there is no connection, and no way to force one."""
    port = dovecot.tls_port if tls == "implicit" else dovecot.port
    account = ConnectionSettings("localhost", port, tls, dovecot.user, dovecot.password, 10)
    with pytest.raises(MailboxUnreachable):
        ImapMailbox.connect(account)


def test_a_plain_connection_to_another_machine_is_refused() -> None:
    """Before anything is looked up or connected; the fault names its key."""
    account = ConnectionSettings("mail.example.org", 143, "none", "anna", PASSWORD)
    with pytest.raises(ConfigError) as caught:
        ImapMailbox.connect(account)
    assert [fault.key for fault in caught.value.faults] == ["tls"]


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("[::1]", True),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, loopback: bool) -> None:
    """Names other than localhost are never looked up: DNS may lie."""
    assert is_loopback(host) is loopback


def test_an_unreadable_ca_file_is_a_configuration_fault(tmp_path: Path) -> None:
    """A file without certificates is named as the fault."""
    broken = tmp_path / "ca.pem"
    broken.write_text("nothing")
    for ca_file in (broken, tmp_path / "missing.pem"):
        account = ConnectionSettings("localhost", 993, "implicit", "anna", PASSWORD, 5, ca_file)
        with pytest.raises(ConfigError) as caught:
            ImapMailbox.connect(account)
        assert [fault.key for fault in caught.value.faults] == ["ca_file"]


def test_a_missing_starttls_stops_before_the_password() -> None:
    """Somebody in between may have removed it from the list."""
    with ScriptedServer() as server:
        with pytest.raises(TlsFailed):
            ImapMailbox.connect(settings(server, "starttls"))
        assert "AUTHENTICATE" not in server.commands()
        assert "LOGIN" not in server.commands()


def test_a_preauthenticated_greeting_does_not_replace_starttls() -> None:
    """After PREAUTH the protocol forbids STARTTLS: an attacker's way around it."""
    with ScriptedServer(greeting="* PREAUTH welcome") as server:
        with pytest.raises(MailboxUnreachable):
            ImapMailbox.connect(settings(server, "starttls"))
        assert "SELECT" not in server.commands()
        assert "EXAMINE" not in server.commands()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("{tag} NO [AUTHENTICATIONFAILED] wrong password for anna@example.org", LoginRefused),
        ("{tag} NO nope", LoginRefused),
        ("{tag} BAD nope", LoginRefused),
        ("{tag} NO [UNAVAILABLE] identity provider down", MailboxUnreachable),
        ("{tag} NO [LIMIT] too many connections", MailboxUnreachable),
        ("* BYE see you" + HANG_UP, MailboxUnreachable),
        (HANG_UP, MailboxUnreachable),
        ("?\r\n", MailboxUnreachable),
    ],
)
def test_a_failed_login_says_whether_to_try_again(reply: str, error: type[MailboxError]) -> None:
    """LoginRefused only when another attempt would be refused, too."""
    with ScriptedServer({"<line>": reply}) as server:
        with pytest.raises(error) as caught:
            ImapMailbox.connect(settings(server))
        assert "anna" not in str(caught.value)
        assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "greeting", ["* BYE too busy", "220 ESMTP", HANG_UP, "* OK hi" + HANG_UP, "\udcff\udcfe\r\n"]
)
def test_a_strange_greeting_is_no_server(greeting: str) -> None:
    """Whatever answers there, it is not an IMAP server that can be used now."""
    with ScriptedServer(greeting=greeting) as server, pytest.raises(MailboxUnreachable):
        ImapMailbox.connect(settings(server))


def test_a_silent_server_is_given_up() -> None:
    """The time-out holds for the greeting, too."""
    with ScriptedServer(greeting=SILENCE) as server, pytest.raises(MailboxUnreachable):
        ImapMailbox.connect(settings(server, timeout=0.2))


def test_a_closed_port_is_unreachable() -> None:
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    account = ConnectionSettings("127.0.0.1", port, "none", "anna", PASSWORD, 5)
    with pytest.raises(MailboxUnreachable):
        ImapMailbox.connect(account)


def test_a_password_with_any_characters_can_be_sent() -> None:
    """AUTHENTICATE PLAIN carries what LOGIN cannot."""
    with ScriptedServer() as server:
        ImapMailbox.connect(settings(server, username="änna b", password='pä"ß\\ wört')).close()
        assert "AUTHENTICATE" in server.commands()


def test_login_quotes_user_name_and_password() -> None:
    """Where PLAIN is not offered; a blank in the name is no second argument."""
    capabilities = "* CAPABILITY IMAP4rev1 OBJECTID\r\n{tag} OK"
    with ScriptedServer({"CAPABILITY": capabilities}) as server:
        ImapMailbox.connect(settings(server, username='an "na', password='x "y\\')).close()
        assert 'LOGIN "an \\"na" "x \\"y\\\\"' in server.received


@pytest.mark.parametrize("password", ["a\r\nb", "a\0b", "pässwört"])
def test_a_password_that_cannot_be_sent_is_refused_here(password: str) -> None:
    """Line breaks would be commands of their own; LOGIN has no non-ASCII."""
    capabilities = "* CAPABILITY IMAP4rev1\r\n{tag} OK"
    with ScriptedServer({"CAPABILITY": capabilities}) as server:
        with pytest.raises(LoginRefused):
            ImapMailbox.connect(settings(server, password=password))
        assert "LOGIN" not in server.commands()


def test_a_server_that_disables_login_is_not_sent_a_password() -> None:
    """LOGINDISABLED without another way in."""
    capabilities = "* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n{tag} OK"
    with ScriptedServer({"CAPABILITY": capabilities}) as server:
        with pytest.raises(LoginRefused):
            ImapMailbox.connect(settings(server))
        assert "LOGIN" not in server.commands()


def test_a_password_function_is_asked_at_each_login() -> None:
    """An expired token is renewed by connecting anew."""
    tokens: Iterator[str] = iter(["first", "second"])
    with ScriptedServer() as server:
        account = settings(server, password=lambda: next(tokens))
        ImapMailbox.connect(account).close()
        ImapMailbox.connect(account).close()
        assert (
            len(
                set(server.received)
                & {"AGFubmFAZXhhbXBsZS5vcmcAZmlyc3Q=", "AGFubmFAZXhhbXBsZS5vcmcAc2Vjb25k"}
            )
            == 2
        )


def test_capabilities_are_read_again_after_login() -> None:
    """Servers announce most of them only then."""
    before = "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n{tag} OK"
    after = "* CAPABILITY IMAP4rev1 MOVE UIDPLUS X-GM-EXT-1\r\n{tag} OK"
    with ScriptedServer({"CAPABILITY": [before, after]}) as server:
        capabilities = ImapMailbox.connect(settings(server)).capabilities
    assert capabilities.move
    assert capabilities.uidplus
    assert not capabilities.idle
    assert capabilities.server_id == "X-GM-MSGID"


@pytest.mark.parametrize(
    ("reply", "item"),
    [
        ("* 3 FETCH (UID 9 X-GUID 0123abc)\r\n{tag} OK", "X-GUID"),
        ("{tag} OK", "X-GUID"),
        ("* 3 FETCH (UID 9)\r\n{tag} OK", None),
        ("{tag} NO what", None),
        ("{tag} BAD what", None),
    ],
)
def test_x_guid_is_found_by_asking_for_it(reply: str, item: str | None) -> None:
    """No capability announces it; only reading commands are sent to find out."""
    capabilities = "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n{tag} OK"
    with ScriptedServer({"CAPABILITY": capabilities, "UID FETCH": reply}) as server:
        mailbox = ImapMailbox.connect(settings(server))
        assert mailbox.capabilities.server_id == item
        assert server.commands()[-2:] == ["EXAMINE", "UID FETCH"]


def test_nothing_secret_is_written_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    """Not with every logger at DEBUG, not in the settings' repr, not in an error."""
    caplog.set_level(logging.DEBUG)
    with ScriptedServer({"CAPABILITY": "* CAPABILITY IMAP4rev1\r\n{tag} OK"}) as server:
        account = settings(server)
        ImapMailbox.connect(account).close()
        assert any(PASSWORD in line for line in server.received)
    assert PASSWORD not in repr(account)
    assert PASSWORD not in caplog.text
    assert "anna" not in caplog.text


def test_commands_do_not_wait_for_acknowledgements() -> None:
    """TCP_NODELAY: Nagle's algorithm costs 45 ms a command on some servers."""
    with ScriptedServer() as server:
        mailbox = ImapMailbox.connect(settings(server))
        connection = mailbox._wire._client.socket()
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        mailbox.close()
