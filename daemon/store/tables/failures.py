"""The kinds of errors that passes ended in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from daemon.store.tables.base import Base
from daemon.store.tables.columns import short_text


class Failure(Base):
    """How often the passes of an account ended in one kind of error, and when last.

    `kind` is the name of an error of `daemon.errors`; its text is not kept here.
    """

    __tablename__ = "failures"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(short_text(40), primary_key=True)
    count: Mapped[int]
    last_at: Mapped[datetime]
