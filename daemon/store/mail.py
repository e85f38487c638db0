"""Repositories for what lies where: accounts, folders, messages, placements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, Select, delete, func, or_, select
from sqlalchemy.orm import Session, aliased, joinedload

from daemon.store.tables import (
    Account,
    ArrivedBy,
    Correction,
    Decision,
    Example,
    Folder,
    Hold,
    Message,
    MessageReference,
    Move,
    Placement,
    Role,
)

T = TypeVar("T")

CHUNK = 500
"""Values per IN (…): SQLite's default limit of bound variables is far above it."""


def chunks(values: Iterable[T]) -> Iterable[list[T]]:
    """Split into lists of at most `CHUNK`."""
    every = list(values)
    for start in range(0, len(every), CHUNK):
        yield every[start : start + CHUNK]


class Accounts:
    """Accounts by name."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, name: str) -> Account | None:
        """The account, or None when inboxd has never looked at it."""
        return self._session.scalar(select(Account).where(Account.name == name))

    def get_or_create(self, name: str, now: datetime) -> Account:
        """The account, created at its first use."""
        account = self.get(name)
        if account is None:
            account = Account(name=name, created_at=now)
            self._session.add(account)
            self._session.flush()
        return account

    def every(self) -> list[Account]:
        """All accounts, by name."""
        return list(self._session.scalars(select(Account).order_by(Account.name)))

    def delete(self, account: Account) -> None:
        """Everything about an account goes with it: the other tables' rows by their foreign
        keys, without being read into memory."""
        self._session.execute(delete(Account).where(Account.id == account.id))
        self._session.expunge(account)


class Folders:
    """Folders of an account."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, folder_id: int) -> Folder:
        """One folder by id."""
        return self._session.get_one(Folder, folder_id)

    def of(self, account: Account, *, retired: bool = False) -> list[Folder]:
        """Folders that exist (or, with `retired`, those that no longer do)."""
        gone = Folder.retired_at.is_not(None) if retired else Folder.retired_at.is_(None)
        query = select(Folder).where(Folder.account_id == account.id, gone).order_by(Folder.name)
        return list(self._session.scalars(query))

    def inbox(self, account: Account) -> Folder | None:
        """The folder in the role of the inbox."""
        return next((f for f in self.of(account) if f.role is Role.INBOX), None)

    def add(self, folder: Folder) -> None:
        """Store a folder that is seen for the first time."""
        self._session.add(folder)
        self._session.flush()


class Messages:
    """Messages by what makes them recognisable."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, message: Message) -> None:
        """Store a message that is seen for the first time."""
        self._session.add(message)

    def get(self, message_id: int) -> Message | None:
        """One message by its row id."""
        return self._session.get(Message, message_id)

    def count(self, account: Account) -> int:
        """Number of messages that were ever seen."""
        query = select(func.count()).where(Message.account_id == account.id)
        return self._session.scalar(query) or 0

    def by_server_ids(self, account: Account, ids: Iterable[str]) -> dict[str, Message]:
        """Messages by the server's own stable id (the newest row, should there be several)."""
        found: dict[str, Message] = {}
        for some in chunks(ids):
            query = (
                select(Message)
                .where(Message.account_id == account.id, Message.server_id.in_(some))
                .order_by(Message.id)
            )
            found.update({m.server_id: m for m in self._session.scalars(query) if m.server_id})
        return found

    def by_fingerprints(
        self, account: Account, fingerprints: Iterable[str]
    ) -> dict[str, list[Message]]:
        """All messages with each of these fingerprints, the oldest row first."""
        found: dict[str, list[Message]] = {}
        for some in chunks(fingerprints):
            query = (
                select(Message)
                .where(Message.account_id == account.id, Message.fingerprint.in_(some))
                .order_by(Message.id)
            )
            for message in self._session.scalars(query):
                found.setdefault(message.fingerprint, []).append(message)
        return found

    def by_message_id_hash(self, account: Account, hashed: str) -> list[Message]:
        """Messages with this hashed Message-ID, newest first."""
        query = (
            select(Message)
            .where(Message.account_id == account.id, Message.message_id_hash == hashed)
            .order_by(Message.id.desc())
        )
        return list(self._session.scalars(query))

    def references_of(self, message: Message) -> list[str]:
        """Hashed Message-IDs of a message's ancestors, nearest first."""
        query = (
            select(MessageReference.hash)
            .where(MessageReference.message_id == message.id)
            .order_by(MessageReference.position)
        )
        return list(self._session.scalars(query))

    def answers_to(self, account: Account, hashed: str, limit: int = 5) -> list[Message]:
        """The newest messages that name this hashed Message-ID among their ancestors."""
        query = (
            select(Message)
            .join(Message.reference_rows)
            .where(Message.account_id == account.id, MessageReference.hash == hashed)
            .order_by(Message.id.desc())
            .limit(limit)
        )
        return list(self._session.scalars(query))

    def delete(self, message: Message) -> None:
        """Forget a message row (after its placements were handed to another)."""
        self._session.delete(message)


class Placements:
    """Which message lies where, and what came and went."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, placement: Placement) -> None:
        """Store an arrival."""
        self._session.add(placement)

    def known_uids(
        self, folder_id: int, uid_validity: int, first: int = 1
    ) -> tuple[set[int], set[int]]:
        """UIDs from `first` on under a UIDVALIDITY: those present, and those gone.

        Plain numbers: a folder may hold a hundred thousand.
        """
        query = select(Placement.uid, Placement.gone_at.is_(None)).where(
            Placement.folder_id == folder_id,
            Placement.uid_validity == uid_validity,
            Placement.uid >= first,
        )
        present: set[int] = set()
        gone: set[int] = set()
        for uid, is_present in self._session.execute(query):
            (present if is_present else gone).add(uid)
        return present, gone

    def by_ids(self, ids: Iterable[int]) -> list[Placement]:
        """Placements by row id, with their messages."""
        found: list[Placement] = []
        for some in chunks(ids):
            query = (
                select(Placement)
                .where(Placement.id.in_(some))
                .options(joinedload(Placement.message), joinedload(Placement.folder))
                .order_by(Placement.id)
            )
            found.extend(self._session.scalars(query))
        return found

    def at(self, folder: Folder, uid_validity: int, uids: Iterable[int]) -> list[Placement]:
        """Placements by UID under a UIDVALIDITY, with their messages."""
        found: list[Placement] = []
        for some in chunks(uids):
            query = (
                select(Placement)
                .where(
                    Placement.folder_id == folder.id,
                    Placement.uid_validity == uid_validity,
                    Placement.uid.in_(some),
                )
                .options(joinedload(Placement.message), joinedload(Placement.folder))
                .order_by(Placement.uid)
            )
            found.extend(self._session.scalars(query))
        return found

    def present_in(self, folder: Folder) -> list[Placement]:
        """What lies in the folder now, with its messages."""
        query = (
            select(Placement)
            .where(Placement.folder_id == folder.id, Placement.gone_at.is_(None))
            .options(joinedload(Placement.message))
            .order_by(Placement.uid)
        )
        return list(self._session.scalars(query))

    def of_message(self, message_id: int, *, present: bool = True) -> list[Placement]:
        """Where a message lies (or, with `present=False`, also where it lay), newest first."""
        query = (
            select(Placement)
            .where(Placement.message_id == message_id)
            .options(joinedload(Placement.folder))
            .order_by(Placement.id.desc())
        )
        if present:
            query = query.where(Placement.gone_at.is_(None))
        return list(self._session.scalars(query))

    def unexplained_departures(self, account: Account, since: datetime) -> list[Placement]:
        """Placements that went since then, and nobody knows yet where to."""
        query = (
            select(Placement)
            .join(Placement.folder)
            .where(
                Folder.account_id == account.id,
                Placement.gone_at >= since,
                Placement.departure_explained.is_(False),
            )
            .options(joinedload(Placement.message), joinedload(Placement.folder))
            .order_by(Placement.id)
        )
        return list(self._session.scalars(query))

    def unexplained_arrivals(self, account: Account, since: datetime) -> list[Placement]:
        """Present placements that came since then, and nobody knows yet where from."""
        query = (
            select(Placement)
            .join(Placement.folder)
            .where(
                Folder.account_id == account.id,
                Placement.gone_at.is_(None),
                Placement.arrived_at >= since,
                Placement.arrived_by == ArrivedBy.UNEXPLAINED,
            )
            .options(joinedload(Placement.message), joinedload(Placement.folder))
            .order_by(Placement.id)
        )
        return list(self._session.scalars(query))

    def to_sort(self, inbox: Folder, limit: int | None = None) -> list[Placement]:
        """Mail in the inbox that nobody decided on yet, oldest first."""
        query = (
            select(Placement)
            .join(Placement.message)
            .where(*_to_sort(inbox))
            .options(joinedload(Placement.message), joinedload(Placement.folder))
            .order_by(Placement.uid)
            .limit(limit)
        )
        return list(self._session.scalars(query))

    def count_to_sort(self, inbox: Folder) -> int:
        """How many mails `to_sort` would give."""
        query = select(func.count(Placement.id)).join(Placement.message).where(*_to_sort(inbox))
        return self._session.scalar(query) or 0

    def newest(self, folder: Folder, limit: int) -> list[Placement]:
        """The newest `limit` mails that lie in the folder."""
        query = (
            select(Placement)
            .join(Placement.message)
            .where(Placement.folder_id == folder.id, Placement.gone_at.is_(None))
            .order_by(Message.internal_date.desc(), Placement.uid.desc())
            .limit(limit)
        )
        return list(self._session.scalars(query))

    def newest_unlabelled(self, folder: Folder, limit: int) -> list[Placement]:
        """Of the newest `limit` mails that people put into a label folder: those that are no
        example yet.

        What inboxd itself moved there counts only once a person has confirmed it, and what
        came in a burst of moves only after it was confirmed as a lesson. What lies in the inbox
        or in another label folder too does not say where it belongs (docs/adr/0048).
        """
        newest = (
            select(Placement.id)
            .join(Placement.message)
            .where(
                Placement.folder_id == folder.id,
                Placement.gone_at.is_(None),
                Placement.arrived_by != ArrivedBy.INBOXD,
                Message.is_notice.is_(False),
            )
            .order_by(Message.internal_date.desc(), Placement.uid.desc())
            .limit(limit)
        )
        known = select(Example.id).where(Example.message_id == Placement.message_id)
        query = (
            select(Placement)
            .where(
                Placement.id.in_(newest),
                ~known.exists(),
                ~_not_learned().exists(),
                ~_elsewhere_too().exists(),
            )
            .options(joinedload(Placement.message))
            .order_by(Placement.id)
        )
        return list(self._session.scalars(query))

    def has_twin(self, move: Move) -> bool:
        """Whether an equal message, or another copy of this one, lies (or lay when the move was
        planned) anywhere else in the account: it could have reached the move's target too."""
        equal = Placement.message_id == move.message_id
        if move.message.server_id is None:  # else the server tells equal mails apart
            equal |= (Message.account_id == move.account_id) & (
                Message.fingerprint == move.message.fingerprint
            )
        is_source = (Placement.folder_id == move.source_folder_id) & or_(
            (Placement.uid_validity == move.source_uid_validity)
            & (Placement.uid == move.source_uid),
            # Its earlier number, from before the folder was renumbered.
            (Placement.uid_validity != move.source_uid_validity)
            & (Placement.message_id == move.message_id),
        )
        query = (
            select(Placement.id)
            .join(Placement.message)
            .where(
                equal,
                ~is_source,
                or_(Placement.gone_at.is_(None), Placement.gone_at >= move.planned_at),
            )
            .limit(1)
        )
        return self._session.scalar(query) is not None

    def forget(self, placement: Placement) -> None:
        """As if it had not been seen yet."""
        self._session.delete(placement)

    def label_folders_of(self, message_ids: Iterable[int]) -> Mapping[int, Folder]:
        """The label folder (or the inbox, for kept mail) in which each message lies now."""
        found: dict[int, Folder] = {}
        for some in chunks(message_ids):
            query = (
                select(Placement)
                .join(Placement.folder)
                .join(Placement.message)
                .where(
                    Placement.message_id.in_(some),
                    Placement.gone_at.is_(None),
                    ~_not_learned().exists(),
                    or_(
                        Folder.role == Role.LABEL,
                        (Folder.role == Role.INBOX) & Message.kept.is_(True),
                    ),
                )
                .options(joinedload(Placement.folder))
                .order_by(Placement.id)
            )
            found.update({p.message_id: p.folder for p in self._session.scalars(query)})
        return found

    def hand_over(self, message: Message, heir: Message) -> None:
        """All placements of `message` become those of `heir`."""
        query = select(Placement).where(Placement.message_id == message.id)
        for placement in self._session.scalars(query):
            placement.message = heir

    def counts(self, folders: Sequence[Folder]) -> dict[int, int]:
        """Number of messages present per folder id."""
        query = (
            select(Placement.folder_id, func.count())
            .where(Placement.folder_id.in_([f.id for f in folders]), Placement.gone_at.is_(None))
            .group_by(Placement.folder_id)
        )
        return dict(self._session.execute(query).all())


def _to_sort(inbox: Folder) -> tuple[ColumnElement[bool], ...]:
    """Conditions on placements joined with their messages."""
    decided = select(Decision.id).where(Decision.message_id == Placement.message_id)
    return (
        Placement.folder_id == inbox.id,
        Placement.gone_at.is_(None),
        Message.kept.is_(False),
        Message.is_notice.is_(False),
        ~decided.exists(),
    )


def _elsewhere_too() -> Select[int]:
    """Where a placement's message lies besides: in the inbox, or in a label folder."""
    other = aliased(Placement)
    return (
        select(other.id)
        .join(Folder, Folder.id == other.folder_id)
        .where(
            other.message_id == Placement.message_id,
            other.folder_id != Placement.folder_id,
            other.gone_at.is_(None),
            Folder.role.in_([Role.INBOX, Role.LABEL]),
        )
        .correlate(Placement)
    )


def _not_learned() -> Select[int]:
    """Moves of a placement's message that were held and not confirmed."""
    return select(Correction.id).where(
        Correction.message_id == Placement.message_id,
        Correction.hold.in_([Hold.HELD, Hold.DISCARDED]),
    )
