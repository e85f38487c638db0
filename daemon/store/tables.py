"""The tables, and what is in them: identities, placements, decisions, moves, examples.

What is *not* in them: subjects, addresses, bodies. Message-IDs are stored as hashes, features
as hashed counts and a vector. `docs/store.md` lists every column for the reader who wants to
know what inboxd keeps about his mail.
"""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    TypeDecorator,
    UniqueConstraint,
    false,
)
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.ext.orderinglist import ordering_list
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeEngine

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in, aware UTC datetimes out; SQLite itself knows no time zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Refuse naive datetimes: they are a bug in the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Give the stored UTC time its time zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


class PlainText(TypeDecorator[str]):
    """Text of any length. PostgreSQL knows no NUL in it, which a server could send in an answer
    that is kept as an account's last error; it gets the replacement character."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Only PostgreSQL's own gap is filled; SQLite keeps what it is given."""
        if value is None or dialect.name != "postgresql":
            return value
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")


def short_text(length: int) -> TypeEngine[str]:
    """Text of about this length. SQLite has never held anybody to it, so PostgreSQL must not."""
    return String(length).with_variant(String(), "postgresql")


INTEGER = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits everywhere: UIDs and UIDVALIDITY fill 32 bits without a sign (RFC 3501, 2.3.1.1), MODSEQ
63 (RFC 7162). SQLite's INTEGER has as many as a number needs."""


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


class ModelState(enum.StrEnum):
    """What the gate said to a trained model. Which one is in use, the registry knows."""

    PROMOTED = "promoted"
    REJECTED = "rejected"


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


def _enum(kind: type[enum.StrEnum]) -> Enum:
    """Stored as its value in a plain VARCHAR: a new member needs no migration."""
    return Enum(
        kind, native_enum=False, length=16, values_callable=lambda e: [str(m.value) for m in e]
    )


class Base(DeclarativeBase):
    """Declarative base with fixed constraint names, which Alembic needs on SQLite."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's documented hook
        int: INTEGER,
        str: PlainText,
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[tuple[str, float]]: JSON,
        Role: _enum(Role),
        ArrivedBy: _enum(ArrivedBy),
        Action: _enum(Action),
        MoveKind: _enum(MoveKind),
        MoveState: _enum(MoveState),
        CorrectionKind: _enum(CorrectionKind),
        Hold: _enum(Hold),
        HoldReason: _enum(HoldReason),
        ModelState: _enum(ModelState),
        NoticeKind: _enum(NoticeKind),
        Channel: _enum(Channel),
        NoticeState: _enum(NoticeState),
    }


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


class ReadingAttempt(Base):
    """A message whose reading was begun and has not ended well; see `daemon/sorting/reading.py`."""

    __tablename__ = "reading_attempts"

    message_id: Mapped[int] = mapped_column(
        ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True
    )
    count: Mapped[int]
    last_at: Mapped[datetime]


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


class Installation(Base):
    """Which state directory a database on a server belongs to; see `daemon/store/pairing.py`.
    At most one row, and none in SQLite's file, which lies in that directory."""

    __tablename__ = "installation"

    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(short_text(32))
