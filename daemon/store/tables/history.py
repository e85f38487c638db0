"""What happened: decisions, moves, corrections."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from daemon.store.tables.base import Base
from daemon.store.tables.columns import short_text
from daemon.store.tables.mail import Folder, Message


class Action(enum.StrEnum):
    """What became of a decision."""

    PLANNED = "planned"
    MOVED = "moved"
    SUGGESTED = "suggested"
    OBSERVED = "observed"
    LEFT = "left"
    UNREADABLE = "unreadable"
    UNDONE = "undone"


class MoveKind(enum.StrEnum):
    """Why inboxd moved a message."""

    SORT = "sort"
    UNDO = "undo"


class MoveState(enum.StrEnum):
    """The life of one planned move; see `daemon/sorting/mover.py`."""

    PLANNED = "planned"
    MOVED = "moved"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ELSEWHERE = "elsewhere"


class CorrectionKind(enum.StrEnum):
    """What a person's move means."""

    FILED = "filed"  # into a label folder from the inbox or a neutral folder
    RELABELLED = "relabelled"  # from one label folder to another
    PUT_BACK = "put_back"  # from a label folder to the inbox: leave it
    SET_ASIDE = "set_aside"  # into a neutral folder: teaches nothing
    RESTORED = "restored"  # from a neutral folder to the inbox: teaches nothing, stays
    AMBIGUOUS = "ambiguous"  # several messages could be meant: recorded, not learned

    @property
    def teaches(self) -> bool:
        """Whether an example follows from it."""
        return self in _TEACHING


_TEACHING = frozenset({CorrectionKind.FILED, CorrectionKind.RELABELLED, CorrectionKind.PUT_BACK})

TEACHING_KINDS = tuple(sorted(_TEACHING))


class Hold(enum.StrEnum):
    """What became of a lesson that was held back; see `daemon/sorting/bursts.py`."""

    HELD = "held"  # waits for a person's word
    CONFIRMED = "confirmed"  # learned after all
    DISCARDED = "discarded"  # never learned
    SUPERSEDED = "superseded"  # a later move of the same mail counts instead


class HoldReason(enum.StrEnum):
    """Why a lesson was held back."""

    MANY = "many"  # more moves within an hour than people make by hand
    FOLDER = "folder"  # a large part of one folder was moved out of it


class Decision(Base):
    """What inboxd decided about one message, and why. At most one that counts per message."""

    __tablename__ = "decisions"
    __table_args__ = (
        Index("ix_decisions_message_id", "message_id"),
        Index("ix_decisions_account_id_decided_at", "account_id", "decided_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    folder_id: Mapped[int | None] = mapped_column(ForeignKey("folders.id", ondelete="SET NULL"))
    probability: Mapped[float | None]
    threshold: Mapped[float | None]
    ranked: Mapped[list[tuple[str, float]]]
    action: Mapped[Action]
    reason: Mapped[str]
    rule: Mapped[str | None] = mapped_column(default=None)
    model_version: Mapped[str | None]
    decided_at: Mapped[datetime]

    message: Mapped[Message] = relationship()
    folder: Mapped[Folder | None] = relationship()


class Move(Base):
    """The journal: a move is written here before the server hears of it."""

    __tablename__ = "moves"
    __table_args__ = (
        Index("ix_moves_account_id_state", "account_id", "state"),
        Index("ix_moves_message_id", "message_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    decision_id: Mapped[int | None] = mapped_column(ForeignKey("decisions.id", ondelete="SET NULL"))
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    kind: Mapped[MoveKind]
    state: Mapped[MoveState]
    source_folder_id: Mapped[int] = mapped_column(ForeignKey("folders.id", ondelete="CASCADE"))
    source_uid_validity: Mapped[int]
    source_uid: Mapped[int]
    target_folder_id: Mapped[int] = mapped_column(ForeignKey("folders.id", ondelete="CASCADE"))
    target_uid_validity: Mapped[int]
    target_uid_next: Mapped[int]
    target_uid: Mapped[int | None] = mapped_column(default=None)
    planned_at: Mapped[datetime]
    finished_at: Mapped[datetime | None] = mapped_column(default=None)
    error: Mapped[str | None] = mapped_column(default=None)

    message: Mapped[Message] = relationship()
    decision: Mapped[Decision | None] = relationship()
    source_folder: Mapped[Folder] = relationship(foreign_keys=[source_folder_id])
    target_folder: Mapped[Folder] = relationship(foreign_keys=[target_folder_id])


class Correction(Base):
    """A move that a person made with any client. `hold` is None for what was learned at once,
    and for what teaches nothing."""

    __tablename__ = "corrections"
    __table_args__ = (
        Index("ix_corrections_account_id_noticed_at", "account_id", "noticed_at"),
        Index("ix_corrections_message_id", "message_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    kind: Mapped[CorrectionKind]
    from_folder_id: Mapped[int] = mapped_column(ForeignKey("folders.id", ondelete="CASCADE"))
    to_folder_id: Mapped[int] = mapped_column(ForeignKey("folders.id", ondelete="CASCADE"))
    linked_by: Mapped[str] = mapped_column(short_text(16))
    noticed_at: Mapped[datetime]
    overrules: Mapped[bool] = mapped_column(default=False)
    hold: Mapped[Hold | None] = mapped_column(default=None)
    hold_reason: Mapped[HoldReason | None] = mapped_column(default=None)

    from_folder: Mapped[Folder] = relationship(foreign_keys=[from_folder_id])
    to_folder: Mapped[Folder] = relationship(foreign_keys=[to_folder_id])
