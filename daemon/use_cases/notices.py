"""What there is to tell people by themselves, once, and over which channel.

Telling has three steps, each of which may be the last of a process that is killed:

1. `look` finds what there is to tell (a week is over, an account needs a person, a folder broke
   its promise, or all is well again) and writes it down, once per occasion and channel;
2. `notice_sending.send_by_webhook` posts what is written down and due; no mail server is asked
   for it;
3. `notice_sending.send_by_mail` puts the rest into the account's own inbox, over the connection
   of a pass.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from daemon.config.settings import NoticeSettings, SignIn
from daemon.errors import LoginRefused, SecretMissing, SignInNeeded, TokenRefused
from daemon.notices.letter import message_id
from daemon.notices.weeks import WEEK, at_local, last_slot
from daemon.notices.words import Said, Words
from daemon.sorting.threads import hash_message_id
from daemon.store import UnitOfWork
from daemon.store.tables import (
    Account,
    Channel,
    Notice,
    NoticeKind,
    NoticeState,
    Promise,
)
from daemon.use_cases.application import Application
from daemon.use_cases.health import health
from daemon.use_cases.notice_channels import channels_of
from daemon.use_cases.week import look_back

MAILED = frozenset({NoticeKind.WEEKLY, NoticeKind.PRECISION, NoticeKind.TEST})
"""What can be told by mail: the others say that the mailbox cannot be reached."""

NEEDS_A_PERSON = frozenset(
    kind.__name__ for kind in (LoginRefused, TokenRefused, SignInNeeded, SecretMissing)
)
"""Kinds of errors after which only a person can go on."""

_OVER = ":over"


@dataclass(frozen=True, slots=True)
class Told:
    """One notice. `channel`: "mail" or "webhook"; `state`: "pending", "sent" or "dropped" (it was
    no news any more, or was given up); `error`: the kind of the last failure."""

    account: str
    kind: str
    channel: str
    title: str
    state: str
    created_at: datetime
    sent_at: datetime | None
    attempts: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be told over a channel."""

    account: str
    channel: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class News:
    """Something to tell, in the words of whoever is to read it. `lasts`: until it is over."""

    kind: NoticeKind
    occasion: str
    say: Callable[[Words], Said]
    lasts: bool = False


def late_accounts(app: Application) -> set[str]:
    """Names of accounts that have been overdue for as long as the configuration waits."""
    limit = 3600.0 * app.settings.notices.overdue_hours
    now = app.clock()
    found = set()
    with app.store.read() as work:
        for each in health(app).accounts:
            account = work.accounts.get(each.name)
            if account is not None and each.overdue:
                last = each.last_cycle or account.created_at
                if (now - last).total_seconds() >= limit:
                    found.add(each.name)
    return found


def look(app: Application, name: str, *, late: bool = False) -> int:
    """Write down what is to be told of an account and is not written down yet; returns how much.

    `late`: it is one of `late_accounts`, and the caller believes it (a machine that slept is
    late when it wakes up).
    """
    channels = channels_of(app, name)
    if not channels:
        return 0
    now = app.clock()
    with app.store.read() as work:
        account = work.accounts.get(name)
        if account is None:
            return 0
        news = list(_news(app, work, account, now, late=late))
        fresh = [each for each in news if _missing(work, account, each, channels)]
        over = any(_is_over(work, account, row) for row in _lasting(work, account))
    if not fresh and not over:
        return 0
    with app.store.write() as work:
        account = work.accounts.get_or_create(name, now)
        written = sum(_write(app, work, account, each, channels, now) for each in fresh)
        for row in _lasting(work, account):
            if _is_over(work, account, row):
                written += _end(app, work, account, row, channels, now)
        work.commit()
    return written


def _news(
    app: Application, work: UnitOfWork, account: Account, now: datetime, *, late: bool
) -> Iterator[News]:
    settings, name = app.settings.notices, account.name
    if settings.weekly:
        day = last_slot(now, settings.weekly_on.number, settings.weekly_at)
        until = at_local(day, settings.weekly_at)
        yield News(
            NoticeKind.WEEKLY,
            f"weekly:{day.isoformat()}",
            lambda words: words.week(look_back(app, name, until - WEEK, until)),
        )
    needs_person = _needs_person(work, account)
    if needs_person is not None:
        by_password = app.account(name).sign_in is SignIn.PASSWORD
        at = needs_person
        yield News(
            NoticeKind.SIGN_IN,
            _occasion(work, account, NoticeKind.SIGN_IN, at),
            lambda words: words.sign_in(name, at, by_password=by_password),
            lasts=True,
        )
    elif late and not work.notices.lasting(account, NoticeKind.SIGN_IN):
        last = account.last_cycle_at
        since = last or account.created_at
        hours = int((now - since).total_seconds() // 3600)
        yield News(
            NoticeKind.OVERDUE,
            _occasion(work, account, NoticeKind.OVERDUE, since),
            lambda words: words.overdue(name, last, hours),
            lasts=True,
        )
    for row in work.promises.broken(account):
        yield News(NoticeKind.PRECISION, _broken(row), _say_broken(name, row), lasts=True)


def _say_broken(name: str, row: Promise) -> Callable[[Words], Said]:
    return lambda words: words.precision(
        name, row.folder.name, moves=row.moves, wrong=row.wrong, promised=row.promised
    )


def _broken(row: Promise) -> str:
    assert row.broken_at is not None
    return f"precision:{row.folder_id}:{row.broken_at.isoformat()}"


def _needs_person(work: UnitOfWork, account: Account) -> datetime | None:
    """Since when only a person can go on; None when that is not so."""
    if account.last_error is None or account.last_error_at is None:
        return None
    newest = next(iter(work.failures.of(account)), None)
    is_hopeless = newest is not None and newest.kind in NEEDS_A_PERSON
    return account.last_error_at if is_hopeless else None


def _occasion(work: UnitOfWork, account: Account, kind: NoticeKind, at: datetime) -> str:
    """That of what lasts already, else a new one: the third refused login is no news."""
    lasting = work.notices.lasting(account, kind)
    return lasting[0].occasion if lasting else f"{kind.value}:{at.isoformat()}"


def _missing(
    work: UnitOfWork, account: Account, news: News, channels: Collection[Channel]
) -> list[Channel]:
    """The channels over which nobody has planned to tell it."""
    known = {each.channel for each in work.notices.of_occasion(account, news.occasion)}
    suitable = [c for c in channels if c is Channel.WEBHOOK or news.kind in MAILED]
    return [each for each in suitable if each not in known]


def _write(
    app: Application,
    work: UnitOfWork,
    account: Account,
    news: News,
    channels: Collection[Channel],
    now: datetime,
) -> int:
    """How many of these were written down to be sent."""
    written = 0
    for channel in _missing(work, account, news, channels):
        notice = new_notice(app, account, news, channel, now)
        if news.kind is NoticeKind.WEEKLY:
            earlier = work.notices.of_kind(account, NoticeKind.WEEKLY, channel)
            if not earlier:
                # Of the week that ended before anybody wanted summaries there is none.
                notice.state = NoticeState.DROPPED
            for each in earlier:
                if each.state is NoticeState.PENDING:
                    each.state = NoticeState.DROPPED
        work.notices.add(notice)
        written += notice.state is NoticeState.PENDING
    return written


def new_notice(
    app: Application, account: Account, news: News, channel: Channel, now: datetime
) -> Notice:
    """A row for it that is not stored yet, due at once."""
    said = news.say(_words(app.settings.notices, channel))
    token = secrets.token_hex(16)
    return Notice(
        account_id=account.id,
        kind=news.kind,
        occasion=news.occasion,
        channel=channel,
        token=token,
        message_id_hash=hash_message_id(message_id(token)),
        title=said.title,
        text=said.text,
        urgent=said.urgent,
        state=NoticeState.PENDING,
        attempts=0,
        created_at=now,
        ended_at=None if news.lasts else now,
        next_attempt_at=now,
    )


def _words(settings: NoticeSettings, channel: Channel) -> Words:
    return Words(settings.language, named=channel is Channel.MAIL or settings.folder_names)


def _lasting(work: UnitOfWork, account: Account) -> list[Notice]:
    kinds = (NoticeKind.SIGN_IN, NoticeKind.OVERDUE, NoticeKind.PRECISION)
    return [each for kind in kinds for each in work.notices.lasting(account, kind)]


def _is_over(work: UnitOfWork, account: Account, row: Notice) -> bool:
    """Whether what was told is so no more: a good pass, or a folder that is trusted again."""
    if row.kind is NoticeKind.PRECISION:
        return row.occasion not in {_broken(each) for each in work.promises.broken(account)}
    last = account.last_cycle_at
    return account.last_error is None and last is not None and last > row.created_at


def _end(
    app: Application,
    work: UnitOfWork,
    account: Account,
    row: Notice,
    channels: Collection[Channel],
    now: datetime,
) -> int:
    """Tell whoever heard of it that it is over; who did not need not hear of it any more."""
    row.ended_at = now
    if row.state is NoticeState.PENDING:
        row.state = NoticeState.DROPPED
    if row.state is not NoticeState.SENT or row.channel not in channels:
        return 0
    say: Callable[[Words], Said] | None
    if row.kind is NoticeKind.PRECISION:
        say = _say_trusted(work, account, row)
    else:
        kind, name = row.kind.value, account.name
        say = lambda words: words.over(kind, name)  # noqa: E731 - beside the other
    if say is None:
        return 0
    return _write(app, work, account, News(row.kind, row.occasion + _OVER, say), [row.channel], now)


def _say_trusted(work: UnitOfWork, account: Account, row: Notice) -> Callable[[Words], Said] | None:
    """None when the folder is gone."""
    folder_id = int(row.occasion.split(":")[1])
    folder = next((f for f in work.folders.of(account) if f.id == folder_id), None)
    if folder is None:
        return None
    name, called = account.name, folder.name
    return lambda words: words.precision_over(name, called)


def list_told(app: Application, name: str | None, limit: int = 50) -> list[Told]:
    """What was told or is to be told, newest first."""
    found: list[Told] = []
    with app.store.read() as work:
        for account_name in app.names(name):
            account = work.accounts.get(account_name)
            rows = work.notices.latest(account, limit) if account is not None else []
            found += [told_of(account_name, row) for row in rows]
    return sorted(found, key=lambda each: each.created_at, reverse=True)[:limit]


def told_of(account: str, row: Notice) -> Told:
    """A row as people see it."""
    return Told(
        account=account,
        kind=row.kind.value,
        channel=row.channel.value,
        title=row.title,
        state=row.state.value,
        created_at=row.created_at,
        sent_at=row.sent_at,
        attempts=row.attempts,
        error=row.error,
    )


def preview_week(app: Application, name: str, channel: Channel) -> Preview:
    """The summary of the last seven days as it would be told now. Nothing is sent, and nothing
    needs to be switched on."""
    now = app.clock()
    words = _words(app.settings.notices, channel)
    said = words.week(look_back(app, name, now - WEEK, now))
    return Preview(name, channel.value, said.title, said.text)
