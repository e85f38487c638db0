"""What people are told."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from daemon.store.tables.base import Base
from daemon.store.tables.columns import short_text


class NoticeKind(enum.StrEnum):
    """What a notice is about."""

    WEEKLY = "weekly"  # the summary of a week
    SIGN_IN = "sign_in"  # an account into which nobody lets inboxd
    OVERDUE = "overdue"  # an account without a good pass for long
    PRECISION = "precision"  # a folder that broke its promise
    TEST = "test"  # a person wanted to see one


class Channel(enum.StrEnum):
    """How a notice reaches a person."""

    MAIL = "mail"  # a mail in the account's own inbox
    WEBHOOK = "webhook"  # a call over HTTP


class NoticeState(enum.StrEnum):
    """The life of one notice."""

    PENDING = "pending"
    SENT = "sent"
    DROPPED = "dropped"  # no news any more, given up, or never meant to be sent


class Notice(Base):
    """Something that a person is told over one channel; see `daemon/use_cases/notices.py`.

    `occasion` names what happened, the same for ever, so that it is told once. `token` is what
    the receiver knows it by, also when it comes twice. `ended_at`: what was told is over (None
    for what has no end). `error` is the kind of the last failure, without its text.
    """

    __tablename__ = "notices"
    __table_args__ = (
        UniqueConstraint("account_id", "occasion", "channel"),
        Index("ix_notices_account_id_message_id_hash", "account_id", "message_id_hash"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    kind: Mapped[NoticeKind]
    occasion: Mapped[str] = mapped_column(short_text(120))
    channel: Mapped[Channel]
    token: Mapped[str] = mapped_column(short_text(32))
    message_id_hash: Mapped[str] = mapped_column(short_text(32))
    title: Mapped[str]
    text: Mapped[str]
    urgent: Mapped[bool] = mapped_column(default=False)
    state: Mapped[NoticeState] = mapped_column(default=NoticeState.PENDING)
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None] = mapped_column(default=None)
    ended_at: Mapped[datetime | None] = mapped_column(default=None)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
    error: Mapped[str | None] = mapped_column(short_text(40), default=None)
