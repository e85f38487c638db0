"""Tokens are renewed in time, once, and a sign-in that has ended names its mend."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import pytest

from daemon.errors import ProviderUnreachable, SignInNeeded
from daemon.locks import sign_in_lock
from daemon.sign_in.keeper import TokenKeeper
from daemon.sign_in.tokens import read_grant
from tests.sign_in.conftest import Clock, keeper_of
from tests.support.identity_provider import IdentityProvider


def test_a_fresh_token_is_handed_out_without_asking_the_provider(
    provider: IdentityProvider, clock: Clock
) -> None:
    """A provider that is down does not matter before the token ends."""
    keeper = keeper_of(provider, clock)
    provider.down = True
    token = keeper.access_token()
    assert provider.accepts(token)
    assert keeper.access_token() == token
    assert provider.requests == []


def test_a_token_is_renewed_before_it_ends(provider: IdentityProvider, clock: Clock) -> None:
    """And again with the refresh token that came with the last one."""
    keeper = keeper_of(provider, clock)
    seen = {keeper.access_token()}
    for _ in range(3):
        clock.turn(minutes=59)
        seen.add(keeper.access_token())
    assert len(seen) == 4
    used = [form["refresh_token"] for form in provider.grants("refresh_token")]
    assert len(set(used)) == 3


def test_a_token_that_the_server_refused_is_renewed_however_fresh(
    provider: IdentityProvider, clock: Clock
) -> None:
    """A wrong clock: by ours it has most of its hour left, by theirs it has ended."""
    keeper = keeper_of(provider, clock)
    token = keeper.access_token()
    provider.expire()
    renewed = keeper.access_token(token)
    assert renewed != token
    assert provider.accepts(renewed)
    # The other thread comes with the same refused token: it is not renewed a second time.
    assert keeper.access_token(token) == renewed
    assert len(provider.grants("refresh_token")) == 1


def test_a_clock_that_was_turned_back_is_no_reason_to_believe_in_a_token(
    provider: IdentityProvider, clock: Clock
) -> None:
    """It would pass for fresh for days."""
    keeper = keeper_of(provider, clock)
    token = keeper.access_token()
    clock.turn(days=-3)
    assert keeper.access_token() != token


def test_a_revoked_sign_in_names_the_command_that_mends_it(
    provider: IdentityProvider, clock: Clock
) -> None:
    """What the provider says besides holds an address and is not shown."""
    keeper = keeper_of(provider, clock)
    provider.revoke_all()
    clock.turn(hours=2)
    with pytest.raises(SignInNeeded, match="invalid_grant") as caught:
        keeper.access_token()
    assert caught.value.next_step == "Run: inboxd login private"
    assert caught.value.exit_code == 5
    assert "alice" not in str(caught.value)


def test_a_provider_that_is_down_is_no_reason_to_sign_in_again(
    provider: IdentityProvider, clock: Clock
) -> None:
    """When it is back, everything goes on."""
    keeper = keeper_of(provider, clock)
    clock.turn(hours=2)
    provider.down = True
    with pytest.raises(ProviderUnreachable):
        keeper.access_token()
    provider.down = False
    assert provider.accepts(keeper.access_token())


def test_nobody_has_signed_in_yet(provider: IdentityProvider, clock: Clock) -> None:
    """The first start after the configuration was written."""
    with pytest.raises(SignInNeeded, match="nobody has signed in yet"):
        keeper_of(provider, clock, signed_in=False).access_token()


def test_two_who_renew_at_once_renew_once(
    provider: IdentityProvider, clock: Clock, tmp_path: Path
) -> None:
    """A second use of the same refresh token would end the sign-in (RFC 9700, 4.14.2)."""
    kept = keeper_of(provider, clock)
    lock = partial(sign_in_lock, tmp_path, "private")
    keeper = TokenKeeper("private", kept.vault, kept.provider, lock, clock)
    clock.turn(hours=2)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(keeper.access_token())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(provider.grants("refresh_token")) == 1


def test_without_a_refresh_token_the_sign_in_ends_with_the_token(
    provider: IdentityProvider, clock: Clock
) -> None:
    """Some providers give none without offline_access."""
    keeper = keeper_of(provider, clock, signed_in=False)
    keeper.vault.write(read_grant({"access_token": "abc", "expires_in": 600}, clock()))
    assert keeper.access_token() == "abc"
    clock.turn(hours=1)
    with pytest.raises(SignInNeeded, match="lets nobody renew it"):
        keeper.access_token()


def test_signing_out_revokes_and_forgets(provider: IdentityProvider, clock: Clock) -> None:
    """A second time there is nothing to forget."""
    keeper = keeper_of(provider, clock)
    token = keeper.access_token()
    assert keeper.sign_out(keeper.provider.revoke) is None
    assert not provider.accepts(token)
    assert keeper.vault.read() is None
    with pytest.raises(SignInNeeded, match="nobody is signed in"):
        keeper.sign_out(keeper.provider.revoke)
