"""The port to those who issue tokens, and what all of them have in common."""

from __future__ import annotations

import enum
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from daemon.config.secrets import Secret
from daemon.config.settings import SignIn
from daemon.errors import ExtraMissing, ProviderUnreachable
from daemon.sign_in.tokens import Tokens, read_grant

HTTP_SECONDS = 30.0
"""How long a provider may take to connect, and for each piece of an answer."""

SIGN_IN_SECONDS = 900.0
"""How long a person may take in the browser, unless the provider says less."""

_LATER = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
"""Error codes that say nothing about the sign-in (RFC 6749, 4.1.2.1; RFC 8628, 3.5)."""

_LIBRARIES = {
    SignIn.GOOGLE: ("google_auth_oauthlib",),
    SignIn.MICROSOFT: ("msal",),
    SignIn.OIDC: ("authlib", "requests"),
}


class Flow(enum.StrEnum):
    """How a person signs in: with a code on any device (RFC 8628), or in a browser that can
    reach this machine (RFC 8252, 7.3). `AUTO` takes what the provider is known to allow."""

    AUTO = "auto"
    DEVICE = "device"
    BROWSER = "browser"


@dataclass(frozen=True, slots=True)
class Visit:
    """What the person has to do: open `url`, and type `code` there where there is one.

    Without a code the page leads back to this machine, to `port`.
    """

    url: str
    code: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """How a sign-in is to go. `tell` gets what to do and returns at once; `port` 0 is any free
    one; `seconds` is how long it may take; `wait` sleeps."""

    tell: Callable[[Visit], None]
    flow: Flow = Flow.AUTO
    port: int = 0
    seconds: float = SIGN_IN_SECONDS
    wait: Callable[[float], None] = time.sleep


class GrantRefused(Exception):
    """The provider says no, and will say so again; the text is a clause without secrets."""


class Provider(Protocol):
    """Issues tokens. All methods may raise `ProviderUnreachable`."""

    def sign_in(self, way: Way) -> Tokens:
        """Let a person sign in. Raises `GrantRefused`."""
        ...

    def renew(self, refresh_token: Secret) -> Tokens:
        """New tokens for a refresh token. Raises `GrantRefused`."""
        ...

    def revoke(self, tokens: Tokens) -> str | None:
        """End the sign-in at the provider; None when that is done, else why it is not and
        what the person can do."""
        ...


def require_libraries(sign_in: SignIn) -> None:
    """Raises `ExtraMissing` without the packages that this way of signing in needs."""
    if any(find_spec(name) is None for name in _LIBRARIES[sign_in]):
        raise ExtraMissing(f'sign_in = "{sign_in.value}"', "oauth")


def set_up(session: Any, ca_file: Path | None) -> Any:
    """A session of requests with our time-out, which believes whom the configuration names.

    Not by `session.verify`: the variable REQUESTS_CA_BUNDLE would win over it.
    """
    verify = str(ca_file) if ca_file is not None else None
    session.request = partial(session.request, timeout=HTTP_SECONDS, verify=verify)
    return session


def refused(code: object, description: object = "") -> GrantRefused | ProviderUnreachable:
    """The error for an error code of RFC 6749, 5.2.

    Descriptions are not shown, since they may hold addresses; what is taken from them is
    Microsoft's number (AADSTS50173), by which its documentation is searched.
    """
    name = code if isinstance(code, str) and re.fullmatch(r"[a-z_]{1,40}", code) else "no reason"
    if name in _LATER:
        return unreachable(f"it says {name}")
    number = re.search(r"AADSTS\d{1,8}", str(description))
    return GrantRefused(
        f"the provider says {name}" + (f" ({number[0]})" if number is not None else "")
    )


def unreachable(reason: str = "it does not answer") -> ProviderUnreachable:
    """The provider is in trouble, or the way to it."""
    return ProviderUnreachable(f"The provider of the sign-in cannot be used: {reason}.")


def granted(answer: Mapping[str, Any], now: datetime, before: Secret | None = None) -> Tokens:
    """`read_grant`, with an answer that makes no sense as `ProviderUnreachable`."""
    try:
        return read_grant(answer, now, before)
    except ValueError as error:
        raise unreachable(str(error)) from error
