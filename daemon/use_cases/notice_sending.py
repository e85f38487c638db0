"""Sending what `notices.look` has written down: by webhook, or as a mail to oneself.

An attempt is counted before it is made, and its outcome written after. A process that is killed
in between leaves a notice that may have arrived: a mail is then looked for by its Message-ID
among what the pass has seen, and not sent again; a webhook gets it a second time under the same
id. See docs/adr/0049.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime

import structlog

from daemon.config.secrets import find_webhook_url
from daemon.errors import (
    CapabilityMissing,
    CommandRefused,
    FolderMissing,
    NoticeNotSent,
    SecretMissing,
)
from daemon.mailbox.port import Mailbox
from daemon.notices.letter import letter
from daemon.notices.webhook import Message, Target, WebhookFailed, post
from daemon.notices.words import Said
from daemon.store.tables import Channel, Notice, NoticeKind, NoticeState
from daemon.use_cases.application import Application, never
from daemon.use_cases.notice_channels import channels_of, notice_warning
from daemon.use_cases.notice_failures import FIRST_BACK_OFF, LONGEST_BACK_OFF, MAX_ATTEMPTS
from daemon.use_cases.notices import News, Told, late_accounts, look, new_notice, told_of

log = structlog.get_logger(__name__)

# By webhook ------------------------------------------------------------------------------------


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
    return Target(find_webhook_url(settings.url_file), settings.webhook, settings.ca_file)


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


# By mail ---------------------------------------------------------------------------------------


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


# At somebody's word ------------------------------------------------------------------------------


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
            told.append(told_of(name, work.notices.get(notice.id)))
    return told


def _planned_test(app: Application, name: str, channel: Channel) -> Notice:
    now = app.clock()
    news = News(NoticeKind.TEST, f"test:{secrets.token_hex(8)}", lambda words: words.test(name))
    with app.store.write() as work:
        account = work.accounts.get_or_create(name, now)
        notice = new_notice(app, account, news, channel, now)
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
