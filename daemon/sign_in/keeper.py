"""Hands out access tokens: from the vault while they are fresh, else renewed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog

from daemon.config.secrets import Secret, find_client_secret, has_client_secret
from daemon.config.settings import AccountSettings, SignIn
from daemon.errors import ConfigError, ConfigFault, SignInNeeded
from daemon.locks import sign_in_lock
from daemon.sign_in.provider import GrantRefused, Provider, Way, require_libraries
from daemon.sign_in.tokens import Tokens
from daemon.sign_in.vault import Vault, open_vault

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TokenKeeper:
    """The tokens of one account. `lock` excludes every other process and thread.

    What is kept is replaced only by what the provider has just granted, at once and as a whole.
    Killed between the grant and that, the next one comes with the old refresh token; whether
    the provider still takes it is the provider's choice (RFC 9700, 4.14.2).
    """

    account: str
    vault: Vault
    provider: Provider
    lock: Callable[[], AbstractContextManager[None]]
    clock: Callable[[], datetime]

    def access_token(self, refused: str | None = None) -> str:
        """A token for a login now. `refused` is one that the mail server has just refused:
        never handed out again, however fresh our clock takes it to be.

        Raises `SignInNeeded`, `ProviderUnreachable`, `SecretMissing` and `StateError`.
        """
        with self.lock():
            kept = self.vault.read()
            if kept is None:
                raise SignInNeeded(self.account, "nobody has signed in yet")
            token = kept.access_token.reveal()
            if token != refused and kept.is_fresh(self.clock()):
                return token
            return self._renewed(kept).access_token.reveal()

    def sign_in(self, way: Way) -> Tokens:
        """Let a person sign in, and keep what is granted. What was kept before stays until then.

        Raises `SignInNeeded` when it is not granted.
        """
        self.vault.check()
        try:
            tokens = self.provider.sign_in(way)
        except GrantRefused as error:
            raise SignInNeeded(self.account, str(error)) from error
        with self.lock():
            self.vault.write(tokens)
        _log.info("sign_in.done", account=self.account)
        return tokens

    def sign_out(self, end: Callable[[Tokens], str | None]) -> str | None:
        """Forget the tokens; before that `end` may revoke them, and its answer is returned.

        Tokens that cannot be read any more are forgotten too. Raises `SignInNeeded` when there
        is nothing to forget.
        """
        with self.lock():
            try:
                kept = self.vault.read()
            except SignInNeeded as unreadable:
                self.vault.forget()
                return str(unreadable)
            if kept is None:
                raise SignInNeeded(self.account, "nobody is signed in")
            left = end(kept)
            self.vault.forget()
        _log.info("sign_in.forgotten", account=self.account)
        return left

    def _renewed(self, kept: Tokens) -> Tokens:
        if kept.refresh_token is None:
            raise SignInNeeded(self.account, "it has ended, and the provider lets nobody renew it")
        try:
            tokens = self.provider.renew(kept.refresh_token)
        except GrantRefused as error:
            raise SignInNeeded(self.account, f"it cannot be renewed, {error}") from error
        self.vault.write(tokens)
        _log.info("sign_in.renewed", account=self.account)
        return tokens


def open_keeper(
    name: str, account: AccountSettings, state_dir: Path, clock: Callable[[], datetime]
) -> TokenKeeper:
    """The keeper of a configured account; asks nobody for anything yet.

    Raises `ConfigError` for an account that signs in with a password, `ExtraMissing` and
    `SecretMissing`.
    """
    return TokenKeeper(
        account=name,
        provider=_provider(name, account, clock),
        vault=open_vault(name, account, state_dir),
        lock=partial(sign_in_lock, state_dir, name),
        clock=clock,
    )


def _provider(name: str, account: AccountSettings, clock: Callable[[], datetime]) -> Provider:
    """Each library takes part of a second to import: only that which is used."""
    if account.sign_in is SignIn.PASSWORD:
        raise _signs_in_with_password(name)
    require_libraries(account.sign_in)
    oauth = account.oauth
    client_id = oauth.client_id or ""  # the settings model refuses an account without one
    if account.sign_in is SignIn.GOOGLE:
        from daemon.sign_in.google import GoogleProvider  # noqa: PLC0415

        secret = find_client_secret(name, account)
        return GoogleProvider(
            client_id, secret, clock, account.username, oauth.scopes, oauth.ca_file
        )
    if account.sign_in is SignIn.MICROSOFT:
        from daemon.sign_in.microsoft import MicrosoftProvider  # noqa: PLC0415

        return MicrosoftProvider(client_id, oauth.tenant, clock, oauth.scopes, oauth.ca_file)
    from daemon.sign_in.oidc import OidcProvider  # noqa: PLC0415

    return OidcProvider(
        oauth.issuer or "",
        client_id,
        _secret_if_any(name, account),
        clock,
        oauth.scopes,
        oauth.ca_file,
    )


def _secret_if_any(name: str, account: AccountSettings) -> Secret | None:
    return find_client_secret(name, account) if has_client_secret(name, account) else None


def _signs_in_with_password(name: str) -> ConfigError:
    key = f"accounts.{name}.sign_in"
    problem = 'is "password": there is nothing to sign in to in a browser'
    mend = (
        'Set it to "google", "microsoft" or "oidc" (docs/accounts.md), or keep the password as '
        "inboxd init does; then run: inboxd check"
    )
    return ConfigError(
        f"The account {name} signs in with a password.", (ConfigFault(key, problem, mend),)
    )
