"""Attempts at reading messages."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from daemon.store.tables.base import Base


class ReadingAttempt(Base):
    """A message whose reading was begun and has not ended well; see `daemon/sorting/reading.py`."""

    __tablename__ = "reading_attempts"

    message_id: Mapped[int] = mapped_column(
        ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True
    )
    count: Mapped[int]
    last_at: Mapped[datetime]
