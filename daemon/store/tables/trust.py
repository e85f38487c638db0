"""Whom and what to trust: folders' promises, people's contacts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column, relationship

from daemon.store.tables.base import Base
from daemon.store.tables.columns import short_text
from daemon.store.tables.mail import Folder


class Promise(Base):
    """What became of the precision that a folder promised; see `daemon/sorting/promises.py`.

    `broken_at` None: it holds. `moves`, `wrong` and `promised` are the figures on which it was
    broken; moves before `counted_from` do not count. `reviewed_with`: the last model that was
    asked whether it holds again.
    """

    __tablename__ = "promises"

    folder_id: Mapped[int] = mapped_column(
        ForeignKey("folders.id", ondelete="CASCADE"), primary_key=True
    )
    account_id: Mapped[int] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), index=True
    )
    counted_from: Mapped[datetime | None] = mapped_column(default=None)
    broken_at: Mapped[datetime | None] = mapped_column(default=None)
    moves: Mapped[int] = mapped_column(default=0)
    wrong: Mapped[int] = mapped_column(default=0)
    promised: Mapped[float] = mapped_column(default=0.0)
    reviewed_with: Mapped[str | None] = mapped_column(short_text(64), default=None)

    folder: Mapped[Folder] = relationship()


class ContactBook(Base):
    """How far an account's sent mail was read for contacts, and the key of their hashes."""

    __tablename__ = "contact_books"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[bytes] = mapped_column(LargeBinary)
    folder: Mapped[str]
    uid_validity: Mapped[int]
    read_to_uid: Mapped[int]


class Contact(Base):
    """Somebody to whom the account's owner writes: a keyed hash of the address."""

    __tablename__ = "contacts"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    hash: Mapped[str] = mapped_column(short_text(32), primary_key=True)
