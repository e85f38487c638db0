"""Signed in for months: what is renewed at night, and what a worker makes of an ended sign-in."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.config.settings import AccountSettings
from daemon.errors import ProviderUnreachable, SignInNeeded
from daemon.mailbox.port import Mailbox
from daemon.sign_in.tokens import read_grant
from daemon.use_cases.application import Application
from daemon.use_cases.check import check
from daemon.use_cases.sign_in import sign_out, stay_signed_in
from daemon.use_cases.status import status
from daemon.worker import LONGEST_BACK_OFF, AccountWorker
from tests.support.fake_mailbox import FakeServer
from tests.support.identity_provider import CLIENT_ID, IdentityProvider
from tests.use_cases.apps import ACCOUNT, Clock, closing, make_app


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    """One that keeps to the clock of the tests: its tokens live an hour."""
    with IdentityProvider("alice") as running:
        yield running


@pytest.fixture
def app(tmp_path: Path, provider: IdentityProvider) -> Iterator[Application]:
    """An account that is signed in at the provider."""
    key = tmp_path / "key"
    key.write_text(base64.b64encode(bytes(32)).decode())
    key.chmod(0o600)
    oauth = {"client_id": CLIENT_ID, "issuer": provider.issuer, "key_file": key}
    account = {"sign_in": "oidc", "oauth": oauth}
    servers = {ACCOUNT: FakeServer()}
    with closing(make_app(tmp_path / "s", tmp_path, servers, account=account)) as found:
        found.keeper(ACCOUNT).vault.write(read_grant(provider.issue(), found.clock()))
        yield found


def turn(app: Application, hours: float) -> None:
    """Turn the clock of the tests."""
    assert isinstance(app.clock, Clock)
    app.clock.now += timedelta(hours=hours)


def test_a_night_without_a_login_renews_what_would_lapse(
    app: Application, provider: IdentityProvider
) -> None:
    """One connection may last for months."""
    stay_signed_in(app, ACCOUNT)
    assert provider.grants("refresh_token") == []
    for nights in (1, 2):
        turn(app, 24)
        stay_signed_in(app, ACCOUNT)
        assert len(provider.grants("refresh_token")) == nights


def test_a_provider_that_is_down_at_night_can_wait(
    app: Application, provider: IdentityProvider
) -> None:
    """Sorting goes on over the connection that there is."""
    turn(app, 24)
    provider.down = True
    stay_signed_in(app, ACCOUNT)
    with pytest.raises(ProviderUnreachable):
        app.keeper(ACCOUNT).access_token()


def test_a_sign_in_that_has_ended_is_told_at_night(
    app: Application, provider: IdentityProvider
) -> None:
    """Before the connection breaks, perhaps weeks later."""
    turn(app, 24)
    provider.revoke_all()
    with pytest.raises(SignInNeeded):
        stay_signed_in(app, ACCOUNT)


class OneFailure(threading.Event):
    """The stop of a worker, which comes with its first pause; how long that would have been."""

    seconds: float | None = None

    def wait(self, timeout: float | None = None) -> bool:
        """Do not wait."""
        self.seconds = timeout
        self.set()
        return True


def test_a_worker_waits_for_the_person_and_status_names_the_command(
    app: Application, provider: IdentityProvider
) -> None:
    """Another attempt in two seconds would be refused, too."""

    def connect(name: str, _account: AccountSettings) -> Mailbox:
        turn(app, 24)
        app.keeper(name).access_token()
        raise AssertionError("nobody is signed in")

    provider.revoke_all()
    stop = OneFailure()
    AccountWorker(replace(app, connect=connect), ACCOUNT, stop, lambda _name: None).run()
    assert stop.seconds == LONGEST_BACK_OFF
    error = status(app).accounts[0].error
    assert error is not None
    assert f"inboxd login {ACCOUNT}" in error


def test_signing_out_while_the_provider_is_down_forgets_all_the_same(
    app: Application, provider: IdentityProvider
) -> None:
    """And says that the provider still accepts the tokens."""
    provider.down = True
    done = sign_out(app, ACCOUNT)
    assert done.left is not None
    assert "cannot be used" in done.left
    assert app.keeper(ACCOUNT).vault.read() is None


def test_check_says_how_an_account_signs_in(app: Application) -> None:
    """For programs, too."""
    assert [each.sign_in for each in check(app, None)] == ["oidc"]
