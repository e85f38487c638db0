"""Which state directory a database on a server belongs to."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from daemon.store.tables.base import Base
from daemon.store.tables.columns import short_text


class Installation(Base):
    """Which state directory a database on a server belongs to; see `daemon/store/pairing.py`.
    At most one row, and none in SQLite's file, which lies in that directory."""

    __tablename__ = "installation"

    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(short_text(32))
