"""What people are told by themselves, once, and over which channel.

Three steps, each of which may be the last of a process that is killed:

1. `look` finds what there is to tell (a week is over, an account needs a person, a folder broke
   its promise, or all is well again) and writes it down, once per occasion and channel;
2. `send_by_webhook` posts what is written down and due; no mail server is asked for it;
3. `send_by_mail` puts the rest into the account's own inbox, over the connection of a pass.

An attempt is counted before it is made, and its outcome written after. A process that is killed
in between leaves a notice that may have arrived: a mail is then looked for by its Message-ID
among what the pass has seen, and not sent again; a webhook gets it a second time under the same
id. See docs/adr/0049.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from daemon.config.secrets import find_webhook_url
from daemon.config.settings import NoticeSettings, SignIn
from daemon.errors import (
    CapabilityMissing,
    CommandRefused,
    FolderMissing,
    LoginRefused,
    NoticeNotSent,
    SecretMissing,
    SignInNeeded,
    TokenRefused,
)
from daemon.mailbox.port import Mailbox
from daemon.notices.letter import letter, message_id
from daemon.notices.webhook import Message, Target, WebhookFailed, check_url, post
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
from daemon.use_cases.application import Application, never
from daemon.use_cases.health import health
from daemon.use_cases.notice_channels import channels_of, notice_warning
from daemon.use_cases.week import look_back

log = structlog.get_logger(__name__)

FIRST_BACK_OFF = timedelta(minutes=1)
LONGEST_BACK_OFF = timedelta(hours=6)
"""Between two attempts: doubled each time between these bounds."""

MAX_ATTEMPTS = 15
"""After so many, some two days, nobody needs to hear of it any more."""

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
class _News:
    """Something to tell, in the words of whoever is to read it."""

    kind: NoticeKind
    occasion: str
    say: Callable[[Words], Said]
    lasts: bool = False


# 1. What is there to tell? ---------------------------------------------------------------------


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
) -> Iterator[_News]:
    settings, name = app.settings.notices, account.name
    if settings.weekly:
        day = last_slot(now, settings.weekly_on.number, settings.weekly_at)
        until = at_local(day, settings.weekly_at)
        yield _News(
            NoticeKind.WEEKLY,
            f"weekly:{day.isoformat()}",
            lambda words: words.week(look_back(app, name, until - WEEK, until)),
        )
    needs_person = _needs_person(work, account)
    if needs_person is not None:
        by_password = app.account(name).sign_in is SignIn.PASSWORD
        at = needs_person
        yield _News(
            NoticeKind.SIGN_IN,
            _occasion(work, account, NoticeKind.SIGN_IN, at),
            lambda words: words.sign_in(name, at, by_password=by_password),
            lasts=True,
        )
    elif late and not work.notices.lasting(account, NoticeKind.SIGN_IN):
        last = account.last_cycle_at
        since = last or account.created_at
        hours = int((now - since).total_seconds() // 3600)
        yield _News(
            NoticeKind.OVERDUE,
            _occasion(work, account, NoticeKind.OVERDUE, since),
            lambda words: words.overdue(name, last, hours),
            lasts=True,
        )
    for row in work.promises.broken(account):
        yield _News(NoticeKind.PRECISION, _broken(row), _say_broken(name, row), lasts=True)


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
    work: UnitOfWork, account: Account, news: _News, channels: Collection[Channel]
) -> list[Channel]:
    """The channels over which nobody has planned to tell it."""
    known = {each.channel for each in work.notices.of_occasion(account, news.occasion)}
    suitable = [c for c in channels if c is Channel.WEBHOOK or news.kind in MAILED]
    return [each for each in suitable if each not in known]


def _write(
    app: Application,
    work: UnitOfWork,
    account: Account,
    news: _News,
    channels: Collection[Channel],
    now: datetime,
) -> int:
    """How many of these were written down to be sent."""
    written = 0
    for channel in _missing(work, account, news, channels):
        notice = _notice(app, account, news, channel, now)
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


def _notice(
    app: Application, account: Account, news: _News, channel: Channel, now: datetime
) -> Notice:
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
    return _write(
        app, work, account, _News(row.kind, row.occasion + _OVER, say), [row.channel], now
    )


def _say_trusted(work: UnitOfWork, account: Account, row: Notice) -> Callable[[Words], Said] | None:
    """None when the folder is gone."""
    folder_id = int(row.occasion.split(":")[1])
    folder = next((f for f in work.folders.of(account) if f.id == folder_id), None)
    if folder is None:
        return None
    name, called = account.name, folder.name
    return lambda words: words.precision_over(name, called)


# 2. By webhook ---------------------------------------------------------------------------------


def send_by_webhook(
    app: Application, name: str | None = None, *, stopped: Callable[[], bool] = never
) -> int:
    """Post what is due; returns how many arrived. Ends at the first failure: what is wrong with
    one call is mostly wrong with the next."""
    arrived = 0
    for account in app.names(name):
        for notice in _due(app, account, Channel.WEBHOOK):
            if stopped():
                return arrived
            if Channel.WEBHOOK not in channels_of(app, account):
                _note(app, notice.id, state=NoticeState.DROPPED)
                continue
            _begin(app, notice.id)
            failure = _post(app, account, notice)
            if failure is not None:
                _failed(app, account, notice.id, failure)
                return arrived
            _sent(app, account, notice)
            arrived += 1
    return arrived


def _post(app: Application, account: str, notice: Notice) -> str | None:
    """The kind of the failure, None when it has arrived."""
    try:
        post(_target(app), _message(app, account, notice))
    except WebhookFailed as failure:
        return failure.kind
    except SecretMissing:
        return "SecretMissing"
    return None


def _target(app: Application) -> Target:
    settings = app.settings.notices
    url = find_webhook_url(settings.url_file)
    fault = check_url(url)
    if fault is not None:
        raise WebhookFailed("address")
    return Target(url, settings.webhook, settings.ca_file)


def _message(app: Application, account: str, notice: Notice) -> Message:
    return Message(
        said=_said(app, notice),
        account=account,
        kind=notice.kind.value,
        token=notice.token,
        at=notice.created_at,
    )


def _said(app: Application, notice: Notice) -> Said:
    language = app.settings.notices.language.value
    return Said(notice.title, notice.text, language, notice.urgent)


# 3. By mail ------------------------------------------------------------------------------------


def send_by_mail(
    app: Application, name: str, mailbox: Mailbox, stopped: Callable[[], bool] = never
) -> int:
    """Put what is due into the account's inbox; returns how many mails. Call it after a pass over
    the same mailbox has seen what is there: so an attempt that was cut off is found.

    Raises `MailboxUnreachable` when the connection breaks; what was under way is looked for
    after the next pass.
    """
    due = _due(app, name, Channel.MAIL)
    if not due:
        return 0
    arrived = 0
    with app.locked(name, at_each_try=stopped):
        for notice in _due(app, name, Channel.MAIL):
            if stopped():
                break
            if Channel.MAIL not in channels_of(app, name):
                _note(app, notice.id, state=NoticeState.DROPPED)
            elif notice.attempts and _has_arrived(app, name, notice):
                _sent(app, name, notice)
            else:
                failure = _append(app, name, mailbox, notice)
                if failure is not None:
                    _failed(app, name, notice.id, failure)
                    break
                _sent(app, name, notice)
                arrived += 1
    return arrived


def _append(app: Application, name: str, mailbox: Mailbox, notice: Notice) -> str | None:
    """The kind of the failure, None when it is in the inbox."""
    account = app.account(name)
    content = letter(
        _said(app, notice),
        token=notice.token,
        kind=notice.kind.value,
        recipient=account.username,
        now=notice.created_at,
    )
    _begin(app, notice.id)
    try:
        mailbox.append(account.folders.inbox, content)
    except CommandRefused as error:  # over quota, for instance
        return error.code or "CommandRefused"
    except (FolderMissing, CapabilityMissing) as error:
        return type(error).__name__
    return None


def _has_arrived(app: Application, name: str, notice: Notice) -> bool:
    with app.store.read() as work:
        account = work.accounts.get(name)
        return account is not None and bool(
            work.messages.by_message_id_hash(account, notice.message_id_hash)
        )


# What became of it -----------------------------------------------------------------------------


def _due(app: Application, name: str, channel: Channel) -> list[Notice]:
    with app.store.read() as work:
        account = work.accounts.get(name)
        return work.notices.due(account, channel, app.clock()) if account is not None else []


def _begin(app: Application, notice_id: int) -> None:
    """Count the attempt before it is made."""
    with app.store.write() as work:
        row = work.notices.get(notice_id)
        row.attempts += 1
        wait = FIRST_BACK_OFF * 2 ** min(row.attempts - 1, 20)
        row.next_attempt_at = app.clock() + min(wait, LONGEST_BACK_OFF)
        work.commit()


def _sent(app: Application, account: str, notice: Notice) -> None:
    _note(app, notice.id, state=NoticeState.SENT, sent_at=app.clock())
    log.info("notice.sent", account=account, kind=notice.kind.value, channel=notice.channel.value)


def _failed(app: Application, account: str, notice_id: int, failure: str) -> None:
    with app.store.write() as work:
        row = work.notices.get(notice_id)
        row.error = failure[:40]
        if row.attempts >= MAX_ATTEMPTS:
            row.state = NoticeState.DROPPED
        work.commit()
        log.warning(
            "notice.failed",
            account=account,
            kind=row.kind.value,
            channel=row.channel.value,
            attempt=row.attempts,
            given_up=row.state is NoticeState.DROPPED,
            error=row.error,
        )


def _note(
    app: Application, notice_id: int, *, state: NoticeState, sent_at: datetime | None = None
) -> None:
    with app.store.write() as work:
        row = work.notices.get(notice_id)
        row.state, row.error = state, None
        row.sent_at = sent_at
        work.commit()


# For people ------------------------------------------------------------------------------------


def list_told(app: Application, name: str | None, limit: int = 50) -> list[Told]:
    """What was told or is to be told, newest first."""
    found: list[Told] = []
    with app.store.read() as work:
        for account_name in app.names(name):
            account = work.accounts.get(account_name)
            rows = work.notices.latest(account, limit) if account is not None else []
            found += [_told(account_name, row) for row in rows]
    return sorted(found, key=lambda each: each.created_at, reverse=True)[:limit]


def _told(account: str, row: Notice) -> Told:
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


def send_now(app: Application, name: str | None) -> int:
    """Look, and send what is due: for those who run passes from cron. Returns how many arrived.

    Raises `MailboxError` of an account for which a mail waits.
    """
    late = late_accounts(app)
    arrived = 0
    names = app.names(name)
    for each in names:
        look(app, each, late=each in late)
    arrived += send_by_webhook(app, name)
    for each in names:
        if _due(app, each, Channel.MAIL) and Channel.MAIL in channels_of(app, each):
            with app.mailbox(each) as mailbox:
                arrived += send_by_mail(app, each, mailbox)
    return arrived


def send_test(app: Application, name: str, channel: Channel | None) -> list[Told]:
    """Send a test now, over one channel or over all of the account. A test is never repeated.

    Raises `NoticeNotSent`; `MailboxError` when the mailbox cannot be reached.
    """
    possible = channels_of(app, name)
    wanted = possible if channel is None else tuple(c for c in possible if c is channel)
    if not wanted:
        raise _nothing_set_up(app, name, channel)
    told: list[Told] = []
    for each in wanted:
        notice = _planned_test(app, name, each)
        failure = _try(app, name, notice)
        if failure is not None:
            _failed(app, name, notice.id, failure)
            raise NoticeNotSent(
                f"The test by {each.value} did not arrive: {failure}.",
                next_step=_mend(each, failure),
            )
        _sent(app, name, notice)
        with app.store.read() as work:
            told.append(_told(name, work.notices.get(notice.id)))
    return told


def _planned_test(app: Application, name: str, channel: Channel) -> Notice:
    now = app.clock()
    news = _News(NoticeKind.TEST, f"test:{secrets.token_hex(8)}", lambda words: words.test(name))
    with app.store.write() as work:
        account = work.accounts.get_or_create(name, now)
        notice = _notice(app, account, news, channel, now)
        # Never due: whoever asked for it looks what becomes of it.
        notice.state = NoticeState.DROPPED
        work.notices.add(notice)
        work.commit()
        return notice


def _try(app: Application, name: str, notice: Notice) -> str | None:
    if notice.channel is Channel.WEBHOOK:
        find_webhook_url(app.settings.notices.url_file)  # its error says more than a kind
        _begin(app, notice.id)
        return _post(app, name, notice)
    with app.mailbox(name) as mailbox, app.locked(name):
        return _append(app, name, mailbox, notice)


def _nothing_set_up(app: Application, name: str, channel: Channel | None) -> NoticeNotSent:
    reason = notice_warning(app, name) if channel is not Channel.WEBHOOK else None
    if reason is not None:
        return NoticeNotSent(
            f"Nothing can be told of the account {name}. {reason}",
            next_step='Set mode = "sort" when you trust inboxd with your mail, or set webhook '
            "in [notices].",
        )
    over = f"by {channel.value}" if channel is not None else "at all"
    return NoticeNotSent(
        f"Nothing is told {over}: it is not switched on.",
        next_step="Set mail = true or webhook in [notices]; see docs/monitoring.md.",
    )


def _mend(channel: Channel, failure: str) -> str:
    if channel is Channel.MAIL:
        return "Make room in the mailbox." if failure == "OVERQUOTA" else "Run: inboxd check"
    steps = {
        "address": "Write an address that begins with https:// (http:// for this machine only), "
        "without user, password and #.",
        "ca_file": "Look whether the file ca_file in [notices] exists and is PEM.",
        "certificate": "Name its certificate authority as ca_file in [notices].",
        "redirected": "Write the address to which it leads; redirects are not followed.",
        "http 401": "The address lacks a token, or has a wrong one.",
        "http 403": "The address lacks a token, or has a wrong one.",
        "http 404": "Compare the address with the one that the service gave you.",
    }
    return steps.get(failure, "Look whether the service runs and can be reached from here.")
