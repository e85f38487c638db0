"""Signing in to an account with OAuth 2, signing out, and staying signed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog

from daemon.config.settings import SignIn
from daemon.errors import ProviderUnreachable
from daemon.sign_in.provider import Way
from daemon.sign_in.tokens import Tokens
from daemon.use_cases.application import Application

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The tokens are in `place`; the first ends at `expires_at`, and is renewed by itself unless
    `renewable` is False. The mail server has accepted it."""

    account: str
    provider: str
    place: str
    expires_at: datetime
    renewable: bool


@dataclass(frozen=True, slots=True)
class SignedOut:
    """The tokens are forgotten. `left` says why the provider still accepts them, None when it
    does not."""

    account: str
    left: str | None


def sign_in(app: Application, name: str, way: Way) -> SignedIn:
    """Let a person sign in, keep the tokens, and try them on the mail server.

    Raises `SignInNeeded` when it is not granted; `LoginRefused` and other kinds of
    `MailboxError` come after the tokens are kept: what is granted is not lost to a mail server
    that is down.
    """
    keeper = app.keeper(name)
    tokens = keeper.sign_in(way)
    with app.mailbox(name):
        return SignedIn(
            account=name,
            provider=app.account(name).sign_in.value,
            place=keeper.vault.place,
            expires_at=tokens.expires_at,
            renewable=tokens.refresh_token is not None,
        )


def sign_out(app: Application, name: str) -> SignedOut:
    """Forget the tokens, and revoke them where the provider can; a provider that is down is no
    reason to keep them. Killed in between, they are still there to be revoked again.

    Raises `SignInNeeded` when nobody is signed in.
    """
    keeper = app.keeper(name)

    def end(tokens: Tokens) -> str | None:
        try:
            return keeper.provider.revoke(tokens)
        except ProviderUnreachable as error:
            return str(error)

    return SignedOut(name, keeper.sign_out(end))


def stay_signed_in(app: Application, name: str) -> None:
    """Renew in time what ends when nobody uses it: one connection may last for months, and
    refresh tokens that rest for long are withdrawn (Microsoft's after 90 days).

    Nothing to do for a password. A provider that is down can wait for the next night. Raises
    `SignInNeeded`, which a person should know before the connection breaks.
    """
    if app.account(name).sign_in is SignIn.PASSWORD:
        return
    try:
        app.keeper(name).access_token()
    except ProviderUnreachable as error:
        log.warning("sign_in.not_renewed", account=name, error=str(error))
