"""Who is not who he should be gets no password, whatever he tries."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.errors import ConfigError, TlsFailed
from daemon.mailbox.connection import ConnectionSettings, TlsMode
from daemon.mailbox.imap import ImapMailbox
from daemon.mailbox.wire import Wire
from daemon.tls import is_loopback_address
from tests.support.certificates import Authority
from tests.support.dovecot import Dovecot
from tests.support.listening_proxy import (
    ListeningProxy,
    inject_answers,
    strip_starttls,
)
from tests.support.scripted_server import ScriptedServer


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The user's own certificate authority."""
    return Authority(tmp_path_factory.mktemp("authority"))


def through(
    proxy: ListeningProxy, dovecot: Dovecot, tls: TlsMode, ca_file: Path | None
) -> ConnectionSettings:
    """Settings of a user whose connection leads through the proxy."""
    return ConnectionSettings(
        "127.0.0.1", proxy.port, tls, dovecot.user, dovecot.password, 10, ca_file
    )


@pytest.mark.dovecot
def test_a_server_with_an_authority_of_its_own_is_trusted(
    dovecot: Dovecot, authority: Authority
) -> None:
    """With ca_file; the proxy holds the key here and hears the password, so it could."""
    context = authority.issue("good").server_context()
    with ListeningProxy(dovecot.port, tls=context) as proxy:
        ImapMailbox.connect(through(proxy, dovecot, "implicit", authority.file)).close()
        assert proxy.knows(dovecot.password)


Bad = tuple[Callable[[Authority], ssl.SSLContext], str, str]

BAD: dict[str, Bad] = {
    "expired": (
        lambda a: a.issue("expired", days_left=-1).server_context(),
        "has expired",
        "Renew",
    ),
    "other host": (
        lambda a: a.issue("other", names="DNS:mail.example.org").server_context(),
        "is for another name",
        "Set host",
    ),
    "self-signed": (
        lambda a: a.self_signed("stranger").server_context(),
        "not issued by an authority",
        "ca_file",
    ),
    "TLS 1.1": (lambda a: a.issue("old").outdated_context(), "TLS 1.2 or newer", "TLS 1.2"),
}


@pytest.mark.dovecot
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("case", BAD)
def test_a_server_that_cannot_be_trusted_hears_no_password(
    dovecot: Dovecot, authority: Authority, case: str
) -> None:
    """The error says what is wrong with it and what to do."""
    make_context, problem, next_step = BAD[case]
    with ListeningProxy(dovecot.port, tls=make_context(authority)) as proxy:
        with pytest.raises(TlsFailed) as caught:
            ImapMailbox.connect(through(proxy, dovecot, "implicit", authority.file))
        assert proxy.heard == b""
    assert problem in str(caught.value)
    assert next_step in caught.value.next_step


@pytest.mark.dovecot
def test_without_ca_file_the_systems_authorities_count(
    dovecot: Dovecot, authority: Authority
) -> None:
    """They know nothing of ours."""
    context = authority.issue("unknown").server_context()
    with ListeningProxy(dovecot.port, tls=context) as proxy:
        with pytest.raises(TlsFailed):
            ImapMailbox.connect(through(proxy, dovecot, "implicit", None))
        assert proxy.heard == b""


@pytest.mark.dovecot
def test_a_server_without_tls_on_the_port_hears_no_password(dovecot: Dovecot) -> None:
    """Port 143 and "implicit": the error points to the port."""
    with ListeningProxy(dovecot.port) as proxy:
        with pytest.raises(TlsFailed, match="speaks no TLS") as caught:
            ImapMailbox.connect(through(proxy, dovecot, "implicit", dovecot.ca_file))
        assert not proxy.knows(dovecot.password)
    assert "port" in caught.value.next_step


@pytest.mark.dovecot
def test_taking_starttls_away_gains_nothing(dovecot: Dovecot) -> None:
    """Not offered: no encryption, no password, no other way tried."""
    with ListeningProxy(dovecot.port, meddle=strip_starttls) as proxy:
        with pytest.raises(TlsFailed, match="password was not sent") as caught:
            ImapMailbox.connect(through(proxy, dovecot, "starttls", dovecot.ca_file))
        assert not proxy.knows(dovecot.password)
        assert b"AUTHENTICATE" not in proxy.heard
        assert b"LOGIN" not in proxy.heard
    assert "implicit" in caught.value.next_step


@pytest.mark.parametrize("answer", ["{tag} BAD what", "{tag} NO not today"])
def test_a_refused_starttls_gains_nothing(answer: str) -> None:
    """Offered and then refused, by the server or by somebody in between."""
    offers = "* CAPABILITY IMAP4rev1 AUTH=PLAIN STARTTLS\r\n{tag} OK"
    with ScriptedServer({"CAPABILITY": offers, "STARTTLS": answer}) as server:
        account = ConnectionSettings("localhost", server.port, "starttls", "anna", "hunter2", 5)
        with pytest.raises(TlsFailed, match="password was not sent"):
            ImapMailbox.connect(account)
        assert {"AUTHENTICATE", "LOGIN"}.isdisjoint(server.commands())


@pytest.mark.dovecot
def test_answers_injected_before_starttls_are_thrown_away(dovecot: Dovecot) -> None:
    """The server's own capabilities count, its own answers are read, and nothing was heard."""
    with ListeningProxy(dovecot.port, meddle=inject_answers) as proxy:
        mailbox = ImapMailbox.connect(through(proxy, dovecot, "starttls", dovecot.ca_file))
        assert "XFORGED" not in mailbox.capabilities.names
        assert mailbox.capabilities.move
        assert "INBOX" in {info.name for info in mailbox.folders()}
        mailbox.close()
        assert not proxy.knows(dovecot.password)


@pytest.mark.dovecot
def test_starttls_with_somebody_elses_certificate_is_refused(
    dovecot: Dovecot, authority: Authority
) -> None:
    """The same checks as with TLS from the first byte, and the same words."""
    with ListeningProxy(dovecot.port) as proxy:
        with pytest.raises(TlsFailed, match="not issued by an authority") as caught:
            ImapMailbox.connect(through(proxy, dovecot, "starttls", authority.file))
        assert not proxy.knows(dovecot.password)
    assert "ca_file" in caught.value.next_step


def test_localhost_that_leads_elsewhere_hears_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the address at the other end, not the name that was asked for."""
    monkeypatch.setattr(Wire, "peer", property(lambda _wire: "192.0.2.7"))
    with ScriptedServer() as server:
        account = ConnectionSettings("localhost", server.port, "none", "anna", "hunter2", 5)
        with pytest.raises(ConfigError):
            ImapMailbox.connect(account)
        assert not any("hunter2" in line or "AUTHENTICATE" in line for line in server.received)


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("192.168.1.1", False),
        ("0.0.0.0", False),  # noqa: S104 - an address to be refused, nothing listens
        ("", False),
    ],
)
def test_only_loopback_addresses_are_this_machine(address: str, own: bool) -> None:
    """IPv4, IPv6, and the one written as the other."""
    assert is_loopback_address(address) is own
