"""Does the daemon do its work? Answered from the state directory, so by any process, at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.config.settings import AccountSettings
from daemon.locks import last_progress, running_process, started_at
from daemon.store import UnitOfWork
from daemon.store.tables import Account
from daemon.use_cases.application import Application

GRACE = timedelta(minutes=10)
"""How long an account may go without a sign of life beyond its polls. The daemon waits up to
five minutes after failures, so that a server that was restarted makes no alarm."""


@dataclass(frozen=True, slots=True)
class AccountHealth:
    """One account.

    `state`: "ok", "paused", "starting" (the daemon runs and has not finished a pass yet),
    "working" (a long pass, such as the first learning, that takes steps), "failing" (the last
    pass ended in an error of the kind `error`, and it is not overdue yet) or "overdue" (no
    sign of life for longer than `allowed_seconds`; `error` may say why). `overdue` is what
    makes an account unhealthy. `age_seconds`: since the last good pass, None before the first.
    """

    name: str
    state: str
    overdue: bool
    last_cycle: datetime | None
    age_seconds: float | None
    allowed_seconds: float
    error: str | None


@dataclass(frozen=True, slots=True)
class Health:
    """The whole picture; `process` is the id of the running daemon, None when none runs."""

    healthy: bool
    process: int | None
    running_since: datetime | None
    accounts: tuple[AccountHealth, ...]


def health(app: Application) -> Health:
    """Read the store and the times of the locks; connects to no server and loads no model.

    Healthy means: a daemon runs, and no account is overdue. Raises `StateError`.
    """
    now, process = app.clock(), running_process(app.state_dir)
    since = started_at(app.state_dir) if process is not None else None
    with app.store.read() as work:
        accounts = tuple(_account(app, work, name, now, since) for name in app.settings.accounts)
    return Health(
        healthy=process is not None and not any(each.overdue for each in accounts),
        process=process,
        running_since=since,
        accounts=accounts,
    )


def allowed(account: AccountSettings) -> timedelta:
    """How long an account may go without a sign of life."""
    return GRACE + timedelta(seconds=2 * account.poll_seconds)


def _account(
    app: Application, work: UnitOfWork, name: str, now: datetime, since: datetime | None
) -> AccountHealth:
    account = work.accounts.get(name)
    error = _error_kind(work, account)
    last = account.last_cycle_at if account is not None else None
    state = _state(app, name, account, error, now, since)
    return AccountHealth(
        name=name,
        state=state,
        overdue=state == "overdue",
        last_cycle=last,
        age_seconds=max((now - last).total_seconds(), 0.0) if last is not None else None,
        allowed_seconds=allowed(app.account(name)).total_seconds(),
        error=error,
    )


def _state(
    app: Application,
    name: str,
    account: Account | None,
    error: str | None,
    now: datetime,
    since: datetime | None,
) -> str:
    """The first that is true; see `AccountHealth`."""
    if account is not None and account.paused_at is not None:
        return "paused"
    earliest = now - allowed(app.account(name))
    if account is not None and _is_since(earliest, account.last_cycle_at):
        return "failing" if error is not None else "ok"
    # The first pass makes the account's row, whether it ends well or not: a reload may have
    # added the account long after the start.
    is_new = since is not None and (account is None or _is_since(earliest, account.created_at))
    if is_new or _is_since(earliest, since):
        return "failing" if error is not None else "starting"
    step = last_progress(app.state_dir, name)
    return "working" if _is_since(earliest, step) else "overdue"


def _is_since(earliest: datetime, moment: datetime | None) -> bool:
    """Whether it happened, and not before `earliest`."""
    return moment is not None and moment >= earliest


def _error_kind(work: UnitOfWork, account: Account | None) -> str | None:
    """The kind of the error that the last pass ended in, None when it ended well."""
    if account is None or account.last_error is None:
        return None
    newest = next(iter(work.failures.of(account)), None)
    # An error from before kinds were kept.
    return newest.kind if newest is not None else "unknown"
