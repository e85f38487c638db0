"""Providers on this machine, and places for tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import keyring
import pytest

from daemon.sign_in.keeper import TokenKeeper
from daemon.sign_in.oidc import OidcProvider
from daemon.sign_in.tokens import read_grant
from daemon.sign_in.vault import KeyringVault
from tests.support.certificates import Authority, Certificate
from tests.support.identity_provider import CLIENT_ID, IdentityProvider
from tests.support.memory_keyring import MemoryKeyring

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def turn(self, **by: float) -> None:
        """Forwards, or backwards with negative numbers."""
        self.now += timedelta(**by)


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryKeyring]:
    """A keyring without entries in place of the real one, and no systemd."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    before = keyring.get_keyring()
    backend = MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@pytest.fixture
def clock() -> Clock:
    """Noon on a day in March."""
    return Clock()


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    """A provider whose refresh tokens can be used once."""
    with IdentityProvider("alice") as running:
        yield running


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who vouches for providers over TLS."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def certificate(authority: Authority) -> Certificate:
    """Of a provider on this machine."""
    return authority.issue("provider")


@pytest.fixture(scope="session")
def ca_file(authority: Authority) -> Path:
    """What the client is given to believe them."""
    return authority.file


def oidc(provider: IdentityProvider, clock: Clock) -> OidcProvider:
    """A public client of that provider."""
    return OidcProvider(provider.issuer, CLIENT_ID, None, clock)


def keeper_of(provider: IdentityProvider, clock: Clock, *, signed_in: bool = True) -> TokenKeeper:
    """A keeper with the keyring of this process."""
    vault = KeyringVault("private")
    if signed_in:
        vault.write(read_grant(provider.issue(), clock()))
    return TokenKeeper("private", vault, oidc(provider, clock), nullcontext, clock)
