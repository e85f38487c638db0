"""From settings to a logged-in connection: TLS policy, login, loopback exception."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from daemon.config.values import is_loopback
from daemon.errors import ConfigError, ConfigFault, TlsFailed, TokenRefused
from daemon.mailbox.wire import Wire
from daemon.tls import is_loopback_address, tls_context

TlsMode = Literal["implicit", "starttls", "none"]

_IMPLICIT = 'Set tls = "implicit", usually with port 993.'


@dataclass(frozen=True, slots=True)
class Bearer:
    """In place of a password: access tokens of OAuth 2.

    `token` is asked at each login. It is given the token that the server has just refused, if
    any, and must not return that one again.
    """

    token: Callable[[str | None], str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """How to reach one account.

    `password` may be a function, which is asked at each login. `timeout` is in seconds, for
    connecting and for every single read. `ca_file` (PEM) replaces the system's certificate
    authorities.
    """

    host: str
    port: int
    tls: TlsMode
    username: str
    password: str | Callable[[], str] | Bearer = field(repr=False)
    timeout: float = 60.0
    ca_file: Path | None = None


def log_in(settings: ConnectionSettings) -> Wire:
    """Connect, encrypt, log in.

    Raises `ConfigError` for a plain connection to another machine and for a ca_file that
    cannot be read, `TlsFailed` (the password has not been sent) when STARTTLS is asked for and
    not offered, or the server is not the one it should be, `LoginRefused` and
    `MailboxUnreachable`; with tokens what their source raises, too.
    """
    if isinstance(settings.password, Bearer):
        return _log_in_with_token(settings, settings.password)
    password = settings.password if isinstance(settings.password, str) else settings.password()
    return _dial(settings, lambda wire: wire.login(settings.username, password))


def _log_in_with_token(settings: ConnectionSettings, bearer: Bearer) -> Wire:
    """A refused token may have ended before its time: withdrawn, or a clock goes wrong. So one
    more attempt with another; when that fails, too, it is not the token's age."""

    def attempt(token: str) -> Wire:
        return _dial(settings, lambda wire: wire.login_with_token(settings.username, token))

    token = bearer.token(None)
    try:
        return attempt(token)
    except TokenRefused:
        return attempt(bearer.token(token))


def _dial(settings: ConnectionSettings, login: Callable[[Wire], None]) -> Wire:
    """Connect, encrypt, and `login` unless the server has done so already."""
    if settings.tls == "none" and not is_loopback(settings.host):
        raise _sent_in_clear()
    context = None if settings.tls == "none" else _tls_context(settings.ca_file)
    implicit = context if settings.tls == "implicit" else None
    wire = Wire.dial(settings.host, settings.port, settings.timeout, implicit)
    try:
        if settings.tls == "none":
            _check_peer(wire)
        if settings.tls == "starttls" and context is not None:
            _start_tls(wire, context, settings.host)
        if not wire.preauthenticated:
            login(wire)
    except BaseException:
        wire.close()
        raise
    return wire


def _check_peer(wire: Wire) -> None:
    """To a resolver that has been tampered with, "localhost" is a name like any other."""
    if not is_loopback_address(wire.peer):
        raise _sent_in_clear()


def _start_tls(wire: Wire, context: ssl.SSLContext, host: str) -> None:
    # Somebody in between can drop STARTTLS from the list, or greet with PREAUTH, after which
    # it is not allowed any more. Either way: no TLS, no password.
    if wire.preauthenticated:
        raise TlsFailed(
            "The server skips the login before the connection is encrypted.",
            next_step=_IMPLICIT,
        )
    if "STARTTLS" not in wire.capability_names():
        raise TlsFailed(
            "The server offers no STARTTLS, or somebody in between takes it away. The password "
            "was not sent.",
            next_step=_IMPLICIT,
        )
    wire.starttls(context, host)


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return tls_context(ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise _fault("ca_file", "The file holds no readable certificates.", "a PEM file") from error


def _sent_in_clear() -> ConfigError:
    return _fault("tls", "tls = none would send the password readable for everyone.", "implicit")


def _fault(key: str, problem: str, mend: str) -> ConfigError:
    return ConfigError(problem, (ConfigFault(key, problem, f"Set {key} to {mend}."),))
