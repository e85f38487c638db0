"""Servers for the tests of the IMAP adapter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.dovecot import Dovecot


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """One Dovecot with accounts for all tests of this package."""
    with Dovecot(users={f"user{number}": "secret" for number in range(40)}) as server:
        yield server


@pytest.fixture(scope="session")
def _accounts(dovecot: Dovecot) -> Iterator[str]:
    return iter(dovecot.users)


@pytest.fixture
def account(_accounts: Iterator[str]) -> str:
    """An account that no other test uses."""
    return next(_accounts)
