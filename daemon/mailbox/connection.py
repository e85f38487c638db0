"""From settings to a logged-in connection: TLS policy, login, loopback exception."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from daemon.errors import CapabilityMissing, ConfigError, ConfigFault, MailboxUnreachable
from daemon.mailbox.wire import Wire

TlsMode = Literal["implicit", "starttls", "none"]


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """How to reach one account.

    `password` may be a function: it is asked at each login, so that an expired token is
    renewed. `timeout` is in seconds, for connecting and for every single read. `ca_file`
    (PEM) replaces the system's certificate authorities.
    """

    host: str
    port: int
    tls: TlsMode
    username: str
    password: str | Callable[[], str] = field(repr=False)
    timeout: float = 60.0
    ca_file: Path | None = None


def log_in(settings: ConnectionSettings) -> Wire:
    """Connect, encrypt, log in.

    Raises `ConfigError` for a plain connection to another machine and for a ca_file that
    cannot be read, `CapabilityMissing` when STARTTLS is asked for and not offered (the
    password has not been sent), `LoginRefused` and `MailboxUnreachable`.
    """
    if settings.tls == "none" and not is_loopback(settings.host):
        raise _fault("tls", "tls = none would send the password readable for everyone.", "implicit")
    context = None if settings.tls == "none" else _tls_context(settings.ca_file)
    password = settings.password if isinstance(settings.password, str) else settings.password()
    implicit = context if settings.tls == "implicit" else None
    wire = Wire.dial(settings.host, settings.port, settings.timeout, implicit)
    try:
        if settings.tls == "starttls" and context is not None:
            _start_tls(wire, context)
        if not wire.preauthenticated:
            wire.login(settings.username, password)
    except BaseException:
        wire.close()
        raise
    return wire


def is_loopback(host: str) -> bool:
    """Whether `host` can only be this machine. Other names are not looked up: DNS may lie."""
    if host.lower() in {"localhost", "localhost."}:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _start_tls(wire: Wire, context: ssl.SSLContext) -> None:
    # Somebody in between can drop STARTTLS from the list, or greet with PREAUTH, after which
    # it is not allowed any more. Either way: no TLS, no password.
    if wire.preauthenticated:
        raise MailboxUnreachable("The server skips the login before the connection is encrypted.")
    if "STARTTLS" not in wire.capability_names():
        raise CapabilityMissing(
            "The server offers no STARTTLS; the password was not sent.",
            next_step="Set tls to implicit, usually with port 993.",
        )
    wire.starttls(context)


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise _fault("ca_file", "The file holds no readable certificates.", "a PEM file") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _fault(key: str, problem: str, mend: str) -> ConfigError:
    return ConfigError(problem, (ConfigFault(key, problem, f"Set {key} to {mend}."),))
