"""Notices that do not get through: how many, since when, by which channel and for what reason.

Read from the store. The words of a notice are not looked at, and of an error only its kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from daemon.store import UnitOfWork
from daemon.store.tables import Account, Channel, Notice, NoticeState
from daemon.use_cases.application import Application
from daemon.use_cases.notice_channels import channels_of

FIRST_BACK_OFF = timedelta(minutes=1)
LONGEST_BACK_OFF = timedelta(hours=6)
"""Between two attempts: doubled each time between these bounds."""

MAX_ATTEMPTS = 15
"""After so many, some two days, nobody needs to hear of it any more."""

CUT_OFF = "cut off"
"""The process or the connection ended in the middle of an attempt."""

_KINDS = frozenset(
    {
        # Ours.
        "CapabilityMissing", "CommandRefused", "FolderMissing", "SecretMissing",
        # Response codes that APPEND may get (RFC 5530, RFC 3501, RFC 4469, RFC 9208).
        "ALERT", "ALREADYEXISTS", "AUTHORIZATIONFAILED", "BADCHARSET", "CANNOT", "CLIENTBUG",
        "CONTACTADMIN", "CORRUPTION", "EXPIRED", "INUSE", "LIMIT", "NONEXISTENT", "NOPERM",
        "OVERQUOTA", "READ-ONLY", "SERVERBUG", "TOOBIG", "TRYCREATE", "UNAVAILABLE",
    }
)  # fmt: skip
"""A server may make a response code of any word, somebody's name too; only these are told."""


@dataclass(frozen=True, slots=True)
class Undelivered:
    """What one channel does not take for one reason. `channel`: "mail" or "webhook"; `error`:
    the kind of the last failure; `waiting`: tried in vain and tried again; `given_up`: tried
    for the last time since anything last arrived over this channel; `since`: when the first of
    them was written down."""

    channel: str
    error: str
    waiting: int
    given_up: int
    since: datetime


def undelivered(app: Application, work: UnitOfWork, account: Account) -> tuple[Undelivered, ...]:
    """Of the channels by which the account is told of; those that are switched off have nothing
    to deliver."""
    found: list[Undelivered] = []
    for channel in channels_of(app, account.name):
        rows = sorted(_failing(app, work, account, channel), key=kind_of)
        for error, group in groupby(rows, key=kind_of):
            some = list(group)
            waiting = sum(each.state is NoticeState.PENDING for each in some)
            since = min(each.created_at for each in some)
            found.append(Undelivered(channel.value, error, waiting, len(some) - waiting, since))
    return tuple(found)


def _failing(
    app: Application, work: UnitOfWork, account: Account, channel: Channel
) -> Iterator[Notice]:
    now, arrived = app.clock(), work.notices.last_sent_at(account, channel)
    for row in work.notices.tried(account, channel):
        # The first attempt is counted before it is made, and may be under way.
        if row.error is not None or row.attempts > 1 or row.next_attempt_at <= now:
            yield row
    for row in work.notices.given_up(account, channel, MAX_ATTEMPTS):
        # By then the back-off was at its longest.
        if arrived is None or row.next_attempt_at - LONGEST_BACK_OFF > arrived:
            yield row


def kind_of(row: Notice) -> str:
    """Why it did not get through, in words of ours or of an RFC."""
    if row.error is None:
        return CUT_OFF
    # A webhook's are made by `daemon.notices.webhook`, which takes nothing over.
    is_known = row.channel is Channel.WEBHOOK or row.error in _KINDS
    return row.error if is_known else "CommandRefused"


def told_in_words(account: str, each: Undelivered) -> str:
    """A sentence for `status`."""
    since = f"since {each.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    parts = [
        f"{number} {what}"
        for number, what in ((each.waiting, "tried again"), (each.given_up, "given up"))
        if number
    ]
    number = each.waiting + each.given_up
    return (
        f"{number} notice{'s' if number != 1 else ''} by {each.channel} did not arrive "
        f"({each.error}; {', '.join(parts)}; {since}). Try: inboxd notices test --account {account}"
    )
