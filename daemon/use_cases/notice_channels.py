"""Over which channels an account's notices are told, and why not over others."""

from __future__ import annotations

from daemon.config.settings import Mode, Webhook
from daemon.store.tables import Channel
from daemon.use_cases.application import Application


def is_wanted(app: Application) -> bool:
    """Whether anything is to be told to anybody."""
    settings = app.settings.notices
    return settings.mail or settings.webhook is not Webhook.OFF


def channels_of(app: Application, name: str) -> tuple[Channel, ...]:
    """How an account's notices are told. By mail only in mode "sort": in the other modes inboxd
    has promised to change nothing in the mailbox."""
    settings = app.settings.notices
    by_mail = settings.mail and app.account(name).mode is Mode.SORT
    by_webhook = settings.webhook is not Webhook.OFF
    return (Channel.MAIL,) * by_mail + (Channel.WEBHOOK,) * by_webhook


def notice_warning(app: Application, name: str) -> str | None:
    """What keeps an account's notices from being told by mail, although that is wanted."""
    mode = app.account(name).mode
    if not app.settings.notices.mail or mode is Mode.SORT:
        return None
    return (
        f'[notices] mail = true does nothing for this account in mode "{mode.value}": only in '
        'mode "sort" does inboxd change the mailbox.'
    )
