"""What lies where: accounts, folders, messages, placements."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, false
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.ext.orderinglist import ordering_list
from sqlalchemy.orm import Mapped, mapped_column, relationship

from daemon.store.tables.base import Base
from daemon.store.tables.columns import short_text


class Role(enum.StrEnum):
    """What a folder is to inboxd."""

    INBOX = "inbox"
    LABEL = "label"
    NEUTRAL = "neutral"


class ArrivedBy(enum.StrEnum):
    """How a message came into the folder."""

    BASELINE = "baseline"  # was there when the folder was first looked at
    DELIVERY = "delivery"  # new mail
    USER = "user"  # a person moved it
    INBOXD = "inboxd"  # our own move
    UNEXPLAINED = "unexplained"  # a copy, an upload, or the half of a move not yet seen


class Account(Base):
    """One configured account, by its name in the configuration. `restored_at`: it came out of a
    backup, and no pass has looked at the mailbox since."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    paused_at: Mapped[datetime | None] = mapped_column(default=None)
    baseline_at: Mapped[datetime | None] = mapped_column(default=None)
    last_cycle_at: Mapped[datetime | None] = mapped_column(default=None)
    last_error: Mapped[str | None] = mapped_column(default=None)
    last_error_at: Mapped[datetime | None] = mapped_column(default=None)
    notice: Mapped[str | None] = mapped_column(default=None)
    restored_at: Mapped[datetime | None] = mapped_column(default=None)


class Folder(Base):
    """One folder; it keeps its id when it is renamed, and with it its examples."""

    __tablename__ = "folders"
    __table_args__ = (Index("ix_folders_account_id_name", "account_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    name: Mapped[str]
    role: Mapped[Role]
    uid_validity: Mapped[int | None] = mapped_column(default=None)
    uid_next: Mapped[int | None] = mapped_column(default=None)
    messages: Mapped[int | None] = mapped_column(default=None)
    highest_modseq: Mapped[int | None] = mapped_column(default=None)
    watch_from_uid: Mapped[int] = mapped_column(default=1)
    retired_at: Mapped[datetime | None] = mapped_column(default=None)


class Message(Base):
    """One message, wherever it lies. `kept` means: a person decided that it stays put.

    `is_notice`: inboxd has written it itself. It is never judged, moved or learned from.
    """

    __tablename__ = "messages"
    __table_args__ = (
        Index("ix_messages_account_id_server_id", "account_id", "server_id"),
        Index("ix_messages_account_id_fingerprint", "account_id", "fingerprint"),
        Index("ix_messages_account_id_message_id_hash", "account_id", "message_id_hash"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    server_id: Mapped[str | None]
    fingerprint: Mapped[str] = mapped_column(short_text(64))
    message_id_hash: Mapped[str] = mapped_column(short_text(32))
    internal_date: Mapped[datetime]
    size: Mapped[int]
    sent_at: Mapped[datetime | None] = mapped_column(default=None)
    first_seen_at: Mapped[datetime]
    kept: Mapped[bool] = mapped_column(default=False)
    is_notice: Mapped[bool] = mapped_column(default=False, server_default=false())

    reference_rows: Mapped[list[MessageReference]] = relationship(
        order_by="MessageReference.position",
        collection_class=ordering_list("position"),
        cascade="all, delete-orphan",
        passive_deletes=True,
    )
    reference_hashes: AssociationProxy[list[str]] = association_proxy("reference_rows", "hash")
    """Hashes of In-Reply-To and References, nearest ancestor first."""


class MessageReference(Base):
    """One ancestor that a message names: finds answers whose ancestor itself is unknown."""

    __tablename__ = "message_references"
    __table_args__ = (Index("ix_message_references_hash", "hash"),)

    message_id: Mapped[int] = mapped_column(
        ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[str] = mapped_column(short_text(32))

    def __init__(self, hash: str) -> None:  # noqa: A002 - the column's name
        super().__init__(hash=hash)


class Placement(Base):
    """A message in a folder under a UID, from `arrived_at` until `gone_at`."""

    __tablename__ = "placements"
    __table_args__ = (
        UniqueConstraint("folder_id", "uid_validity", "uid"),
        Index("ix_placements_message_id", "message_id"),
        Index("ix_placements_folder_id_gone_at", "folder_id", "gone_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    folder_id: Mapped[int] = mapped_column(ForeignKey("folders.id", ondelete="CASCADE"))
    uid_validity: Mapped[int]
    uid: Mapped[int]
    arrived_at: Mapped[datetime]
    arrived_by: Mapped[ArrivedBy]
    gone_at: Mapped[datetime | None] = mapped_column(default=None)
    departure_explained: Mapped[bool] = mapped_column(default=False)

    message: Mapped[Message] = relationship()
    folder: Mapped[Folder] = relationship()
