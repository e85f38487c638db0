"""When an account is overdue, and when it only takes its time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from daemon.errors import LoginRefused, MailboxUnreachable
from daemon.locks import account_lock, instance_lock, show_progress
from daemon.store.tables import Account
from daemon.use_cases.application import Application
from daemon.use_cases.cycle import record_failure, run_cycle_once
from daemon.use_cases.health import AccountHealth, health
from daemon.use_cases.learn import learn
from daemon.use_cases.pause import set_paused
from tests.support.fake_mailbox import FakeServer
from tests.use_cases.apps import ACCOUNT, START, Clock, closing, filled_server, make_app

LONG_AGO = START - timedelta(days=1)


@pytest.fixture
def app(tmp_path: Path, encoder: Path) -> Iterator[Application]:
    """A program whose clock stands in March; its lock says that it was started the day before."""
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: FakeServer()})) as found:
        yield found


def started(app: Application, moment: datetime = LONG_AGO) -> None:
    """As if the daemon had been started then; the caller holds its lock."""
    at = moment.timestamp()
    os.utime(app.state_dir / "inboxd.lock", (at, at))


def seen(app: Application, moment: datetime, *, created: datetime = LONG_AGO) -> None:
    """As if the last good pass had been then."""
    with app.store.write() as work:
        account = work.accounts.get_or_create(ACCOUNT, created)
        account.last_cycle_at = moment
        work.commit()


def the_account(app: Application) -> AccountHealth:
    """The only one."""
    [found] = health(app).accounts
    return found


def test_without_a_daemon_nothing_is_healthy(app: Application) -> None:
    """However good the last pass was."""
    run_cycle_once(app, ACCOUNT)

    found = health(app)

    assert (found.healthy, found.process, found.running_since) == (False, None, None)
    assert found.accounts[0].state == "ok"


def test_a_pass_of_a_moment_ago_is_healthy(app: Application) -> None:
    """With its age, and how old it may become."""
    with instance_lock(app.state_dir):
        started(app)
        run_cycle_once(app, ACCOUNT)
        found = health(app)

    assert found.healthy
    assert found.running_since == LONG_AGO
    [account] = found.accounts
    assert (account.state, account.error, account.allowed_seconds) == ("ok", None, 720.0)
    assert account.age_seconds is not None
    assert account.age_seconds < 60


@pytest.mark.parametrize(("minutes", "state"), [(11, "ok"), (13, "overdue")])
def test_an_account_is_overdue_after_two_polls_and_ten_minutes(
    app: Application, minutes: int, state: str
) -> None:
    """A minute between polls makes twelve."""
    with instance_lock(app.state_dir):
        started(app)
        seen(app, START - timedelta(minutes=minutes))
        found = health(app)

    assert found.accounts[0].state == state
    assert found.healthy is (state == "ok")


def test_the_kind_of_the_last_error_is_named_before_and_after_it_is_too_late(
    app: Application,
) -> None:
    """The latest kind, not the most frequent; gone with the next good pass."""
    with instance_lock(app.state_dir):
        started(app)
        seen(app, START - timedelta(minutes=5))
        record_failure(app, ACCOUNT, MailboxUnreachable("secret host"))
        record_failure(app, ACCOUNT, MailboxUnreachable("secret host"))
        record_failure(app, ACCOUNT, LoginRefused("secret name"))
        early = health(app)
        seen(app, START - timedelta(minutes=50))
        late = health(app)
        run_cycle_once(app, ACCOUNT)
        after = the_account(app)

    assert early.healthy
    assert (early.accounts[0].state, early.accounts[0].error) == ("failing", "LoginRefused")
    assert not late.healthy
    assert (late.accounts[0].state, late.accounts[0].error) == ("overdue", "LoginRefused")
    assert "secret" not in str(late)
    assert (after.state, after.error) == ("ok", None)


def test_a_daemon_that_was_off_for_long_is_given_time(app: Application) -> None:
    """The last pass is a day old, the process a minute."""
    with instance_lock(app.state_dir):
        started(app, START - timedelta(minutes=1))
        seen(app, LONG_AGO)
        assert the_account(app).state == "starting"
        started(app, START - timedelta(minutes=30))
        assert the_account(app).state == "overdue"


def test_an_account_that_was_added_later_is_given_time(app: Application) -> None:
    """To a daemon that has run for a day."""
    with instance_lock(app.state_dir):
        started(app)
        assert the_account(app).state == "starting"
        with app.store.write() as work:
            account = work.accounts.get_or_create(ACCOUNT, START)
            account.last_error, account.last_error_at = "no entry", START
            work.commit()
        assert (the_account(app).state, the_account(app).error) == ("failing", "unknown")
        with app.store.write() as work:
            row = work.accounts.get(ACCOUNT)
            assert isinstance(row, Account)
            row.created_at = LONG_AGO
            work.commit()
        assert the_account(app).state == "overdue"


def test_long_work_is_healthy_as_long_as_it_takes_steps(app: Application) -> None:
    """A first learning may take hours; one that hangs is told from it, and one that has ended."""
    with instance_lock(app.state_dir):
        started(app)
        seen(app, LONG_AGO)
        with account_lock(app.state_dir, ACCOUNT):
            show_progress(app.state_dir, ACCOUNT, START - timedelta(minutes=2))
            assert the_account(app).state == "working"
            show_progress(app.state_dir, ACCOUNT, START - timedelta(minutes=20))
            assert the_account(app).state == "overdue"
            show_progress(app.state_dir, ACCOUNT, START)
        assert the_account(app).state == "overdue"


def test_learning_shows_its_steps(tmp_path: Path, encoder: Path) -> None:
    """Asked in the middle of the encoding, hours after the last pass."""
    states: list[str] = []

    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: filled_server()})) as app:

        def asked_in_between() -> bool:
            states.append(the_account(app).state)
            return False

        with instance_lock(app.state_dir):
            started(app)
            assert isinstance(app.clock, Clock)
            seen(app, LONG_AGO)
            app.clock.now += timedelta(hours=5)
            learn(app, ACCOUNT, stopped=asked_in_between)

    assert len(states) > 1
    assert set(states) == {"working"}


def test_a_paused_account_is_not_overdue(app: Application) -> None:
    """Somebody wants it so."""
    with instance_lock(app.state_dir):
        started(app)
        seen(app, LONG_AGO)
        set_paused(app, [ACCOUNT], paused=True)
        found = health(app)

    assert found.healthy
    assert found.accounts[0].state == "paused"
