"""Repository for what people are told."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from daemon.store.mail import chunks
from daemon.store.tables import Account, Channel, Notice, NoticeKind, NoticeState


class Notices:
    """What was told, is to be told, or will not be."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, notice: Notice) -> None:
        """Plan to tell it. It counts only after the commit."""
        self._session.add(notice)
        self._session.flush()

    def get(self, notice_id: int) -> Notice:
        """One notice by id."""
        return self._session.get_one(Notice, notice_id)

    def of_occasion(self, account: Account, occasion: str) -> list[Notice]:
        """What is told of one occasion, one per channel."""
        query = select(Notice).where(Notice.account_id == account.id, Notice.occasion == occasion)
        return list(self._session.scalars(query.order_by(Notice.id)))

    def lasting(self, account: Account, kind: NoticeKind) -> list[Notice]:
        """Those whose cause lasts, as far as is known."""
        query = select(Notice).where(
            Notice.account_id == account.id, Notice.kind == kind, Notice.ended_at.is_(None)
        )
        return list(self._session.scalars(query.order_by(Notice.id)))

    def of_kind(self, account: Account, kind: NoticeKind, channel: Channel) -> list[Notice]:
        """All of one kind over one channel, oldest first."""
        query = select(Notice).where(
            Notice.account_id == account.id, Notice.kind == kind, Notice.channel == channel
        )
        return list(self._session.scalars(query.order_by(Notice.id)))

    def due(self, account: Account, channel: Channel, now: datetime) -> list[Notice]:
        """What is to be sent now, oldest first."""
        query = select(Notice).where(
            Notice.account_id == account.id,
            Notice.channel == channel,
            Notice.state == NoticeState.PENDING,
            Notice.next_attempt_at <= now,
        )
        return list(self._session.scalars(query.order_by(Notice.id)))

    def tried(self, account: Account, channel: Channel) -> list[Notice]:
        """What is still to be sent after one attempt at least, oldest first."""
        query = select(Notice).where(
            Notice.account_id == account.id,
            Notice.channel == channel,
            Notice.state == NoticeState.PENDING,
            Notice.attempts > 0,
        )
        return list(self._session.scalars(query.order_by(Notice.id)))

    def given_up(self, account: Account, channel: Channel, attempts: int) -> list[Notice]:
        """What is not sent any more after so many vain `attempts`, oldest first."""
        query = select(Notice).where(
            Notice.account_id == account.id,
            Notice.channel == channel,
            Notice.state == NoticeState.DROPPED,
            Notice.attempts >= attempts,
            Notice.error.is_not(None),
        )
        return list(self._session.scalars(query.order_by(Notice.id)))

    def last_sent_at(self, account: Account, channel: Channel) -> datetime | None:
        """When something last arrived over this channel."""
        query = select(func.max(Notice.sent_at)).where(
            Notice.account_id == account.id, Notice.channel == channel
        )
        return self._session.scalar(query)

    def count_sent(self, account: Account, channel: Channel) -> int:
        """How many arrived over this channel."""
        query = select(func.count()).where(
            Notice.account_id == account.id,
            Notice.channel == channel,
            Notice.state == NoticeState.SENT,
        )
        return self._session.scalar(query) or 0

    def latest(self, account: Account, limit: int) -> list[Notice]:
        """The newest, newest first."""
        query = select(Notice).where(Notice.account_id == account.id)
        return list(self._session.scalars(query.order_by(Notice.id.desc()).limit(limit)))

    def ours(self, account: Account, message_id_hashes: Collection[str]) -> set[str]:
        """Those of these hashed Message-IDs that are of mails that inboxd has written."""
        found: set[str] = set()
        for some in chunks(message_id_hashes):
            query = select(Notice.message_id_hash).where(
                Notice.account_id == account.id,
                Notice.channel == Channel.MAIL,
                Notice.message_id_hash.in_(some),
            )
            found.update(self._session.scalars(query))
        return found
