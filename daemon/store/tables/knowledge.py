"""What was learned: examples, cached features, models."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from daemon.store.tables.base import Base
from daemon.store.tables.columns import short_text
from daemon.store.tables.mail import Folder, Message


class ModelState(enum.StrEnum):
    """What the gate said to a trained model. Which one is in use, the registry knows."""

    PROMOTED = "promoted"
    REJECTED = "rejected"


class Example(Base):
    """What a person taught: this message belongs there. No folder means: leave it in the inbox."""

    __tablename__ = "examples"
    __table_args__ = (UniqueConstraint("message_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), index=True
    )
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    folder_id: Mapped[int | None] = mapped_column(ForeignKey("folders.id", ondelete="CASCADE"))
    source: Mapped[str] = mapped_column(short_text(16))
    labelled_at: Mapped[datetime]
    excluded_at: Mapped[datetime | None] = mapped_column(default=None)

    message: Mapped[Message] = relationship()
    folder: Mapped[Folder | None] = relationship()


class FeatureRow(Base):
    """Cached features of one message under the fingerprint of encoder and preparation."""

    __tablename__ = "features"

    message_id: Mapped[int] = mapped_column(
        ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True
    )
    fingerprint: Mapped[str] = mapped_column(short_text(64), primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class ModelRow(Base):
    """One trained model: where it came from and what the gate said.

    `data_hash` identifies the set of examples: training again on the same set is pointless.
    """

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("account_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    version: Mapped[str] = mapped_column(short_text(64))
    state: Mapped[ModelState]
    reason: Mapped[str]
    examples: Mapped[int]
    data_hash: Mapped[str] = mapped_column(short_text(32))
    report: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
