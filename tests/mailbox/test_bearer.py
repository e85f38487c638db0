"""Logging in with access tokens: what is sent, and what is made of the server's answer."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from daemon.errors import LoginRefused, MailboxError, MailboxUnreachable, TokenRefused
from daemon.mailbox.bearer import BearerExchange, choose_mechanism, read_status
from daemon.mailbox.connection import Bearer, ConnectionSettings
from daemon.mailbox.imap import ImapMailbox
from tests.support.dovecot import Dovecot
from tests.support.identity_provider import IdentityProvider
from tests.support.scripted_server import Reply, ScriptedServer

ERROR = base64.b64encode(b'{"status":"invalid_token","scope":"mail"}').decode()


def settings(port: int, bearer: Bearer, username: str = "anna@example.org") -> ConnectionSettings:
    """Settings for a server on this machine."""
    return ConnectionSettings("127.0.0.1", port, "none", username, bearer, 5.0)


def always(token: str) -> Bearer:
    """A source that has only one token."""
    return Bearer(lambda _refused: token)


def offering(*mechanisms: str) -> str:
    """The answer to CAPABILITY."""
    names = " ".join(f"AUTH={name}" for name in mechanisms)
    return f"* CAPABILITY IMAP4rev1 {names} OBJECTID\r\n{{tag}} OK"


def test_the_standard_is_preferred() -> None:
    """Gmail offers both, Microsoft only the older one, many neither."""
    assert choose_mechanism({"AUTH=PLAIN", "AUTH=XOAUTH2", "AUTH=OAUTHBEARER"}) == "OAUTHBEARER"
    assert choose_mechanism({"AUTH=XOAUTH2"}) == "XOAUTH2"
    assert choose_mechanism({"AUTH=PLAIN", "OAUTHBEARER"}) is None


def test_an_oauthbearer_message_is_that_of_the_rfc() -> None:
    """RFC 7628, 4.1, with RFC 5801's escapes in the name."""
    exchange = BearerExchange("OAUTHBEARER", "a=b,c@example.org", "tok")
    assert exchange.answer(b"") == b"n,a=a=3Db=2Cc@example.org,\x01auth=Bearer tok\x01\x01"
    assert "tok" not in repr(exchange)


def test_an_xoauth2_message_is_that_of_google() -> None:
    """As in Google's and Microsoft's documentation."""
    exchange = BearerExchange("XOAUTH2", "anna@example.org", "tok")
    assert exchange.answer(b"") == b"user=anna@example.org\x01auth=Bearer tok\x01\x01"


@pytest.mark.parametrize(
    ("challenge", "status"),
    [
        (b'{"status":"invalid_token","schemes":"bearer"}', "invalid_token"),
        (b'{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}', "400"),
        (b'{"status":400}', "400"),
        (b'{"status":"anna@example.org is not known"}', ""),
        (b"[]", ""),
        (b"", ""),
        (b"\xff\xfe", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_an_error_challenge_is_read_whatever_it_holds(challenge: bytes, status: str) -> None:
    """Only words of the protocol are taken over, never free text."""
    assert read_status(challenge) == status


@pytest.mark.parametrize(("mechanism", "dummy"), [("OAUTHBEARER", "AQ=="), ("XOAUTH2", "")])
def test_an_error_challenge_is_answered_before_the_no(mechanism: str, dummy: str) -> None:
    """RFC 7628, 3.2.3: without the answer the server would wait for ever."""
    replies: dict[str, Reply | list[str]] = {
        "CAPABILITY": offering(mechanism),
        "<line>": [f"+ {ERROR}\r\n", "{tag} NO [AUTHENTICATIONFAILED] anna@example.org"],
    }
    tokens: Iterator[str] = iter(["first", "second"])
    with ScriptedServer(replies) as server:
        with pytest.raises(LoginRefused) as caught:
            ImapMailbox.connect(settings(server.port, Bearer(lambda _refused: next(tokens))))
        lines = [line for line in server.received if not line.startswith(("CAPA", "LOGOUT"))]

    assert lines[0] == f"AUTHENTICATE {mechanism}"
    assert b"auth=Bearer first" in base64.b64decode(lines[1])
    assert lines[2] == dummy
    assert "anna" not in str(caught.value)


def test_a_refused_token_is_tried_once_more_with_another() -> None:
    """The source hears which one was refused; after the second refusal it is not the age."""
    asked: list[str | None] = []

    def token(refused: str | None) -> str:
        asked.append(refused)
        return f"token{len(asked)}"

    replies = {"CAPABILITY": offering("XOAUTH2"), "<line>": "{tag} NO AUTHENTICATE failed."}
    with ScriptedServer(replies) as server, pytest.raises(TokenRefused):
        ImapMailbox.connect(settings(server.port, Bearer(token)))
    assert asked == [None, "token1"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("{tag} NO [UNAVAILABLE] identity provider down", MailboxUnreachable),
        ("{tag} NO [AUTHENTICATIONFAILED] no", TokenRefused),
        ("{tag} BAD what", TokenRefused),
    ],
)
def test_only_a_refusal_speaks_against_the_token(reply: str, error: type[MailboxError]) -> None:
    """A mail server that cannot ask its provider asks for patience."""
    asked: list[str | None] = []
    source = Bearer(lambda refused: asked.append(refused) or "tok")  # type: ignore[func-returns-value]
    with ScriptedServer({"CAPABILITY": offering("OAUTHBEARER"), "<line>": reply}) as server:
        with pytest.raises(error) as caught:
            ImapMailbox.connect(settings(server.port, source))
        assert type(caught.value) is error
    assert len(asked) == (1 if error is MailboxUnreachable else 2)


def test_a_server_without_either_mechanism_is_not_shown_the_token() -> None:
    """It would have to be sent as a password."""
    with ScriptedServer({"CAPABILITY": offering("PLAIN")}) as server:
        with pytest.raises(LoginRefused, match="neither OAUTHBEARER nor XOAUTH2") as caught:
            ImapMailbox.connect(settings(server.port, always("tok")))
        assert "password" in caught.value.next_step
        assert "AUTHENTICATE" not in server.commands()


def test_a_server_that_asks_again_and_again_sees_the_token_once() -> None:
    """Every further challenge is an error challenge; the bounds end it."""
    replies: dict[str, Reply | list[str]] = {
        "CAPABILITY": offering("XOAUTH2"),
        "<line>": ["+ \r\n", "+ \r\n", "+ \r\n", "{tag} NO x"],
    }
    with ScriptedServer(replies) as server:
        with pytest.raises(TokenRefused):
            ImapMailbox.connect(settings(server.port, always("tok")))
        attempts = "\n".join(server.received).split("AUTHENTICATE XOAUTH2\n")[1:]
        shown = base64.b64encode(b"user=anna@example.org\x01auth=Bearer tok\x01\x01").decode()
        assert [attempt.count(shown) for attempt in attempts] == [1, 1]
        assert attempts[0].splitlines()[:4] == [shown, "", "", ""]


@pytest.mark.dovecot
@pytest.mark.parametrize("mechanism", ["oauthbearer", "xoauth2"])
def test_dovecot_takes_a_token_and_says_when_it_has_ended(mechanism: str) -> None:
    """A real server that asks a provider: valid, expired, provider down; both mechanisms."""
    with (
        IdentityProvider("alice") as provider,
        Dovecot(introspection=provider.introspection, mechanisms=f"plain {mechanism}") as server,
    ):
        token = provider.issue()["access_token"]
        ImapMailbox.connect(settings(server.port, always(token), "alice")).close()
        provider.expire()
        with pytest.raises(TokenRefused) as caught:
            ImapMailbox.connect(settings(server.port, always(token), "alice"))
        assert caught.value.status == ("invalid_token" if mechanism == "oauthbearer" else "401")
        provider.down = True
        with pytest.raises(MailboxUnreachable):
            ImapMailbox.connect(settings(server.port, always(token), "alice"))
