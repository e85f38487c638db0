"""Repositories for what was learned: examples, cached features, models."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, LargeBinary, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session, joinedload

from daemon.store.inserting import insert_or_replace
from daemon.store.mail import CHUNK, chunks
from daemon.store.tables import (
    Account,
    Example,
    FeatureRow,
    Folder,
    Message,
    MessageReference,
    ModelRow,
    Role,
)


@dataclass(frozen=True, slots=True)
class Taught:
    """A usable example, with what is known of its message and its folder (None: the inbox)."""

    message_id: int
    folder_id: int | None
    folder: str | None
    source: str
    message_id_hash: str
    reference_hashes: tuple[str, ...]
    internal_date: datetime
    sent_at: datetime | None


class Examples:
    """What people taught."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def teach(
        self,
        account: Account,
        message_id: int,
        folder: Folder | None,
        source: str,
        now: datetime,
    ) -> None:
        """This message belongs there; a newer word outranks an older one. What inboxd has
        written itself teaches nothing, whoever says so."""
        message = self._session.get(Message, message_id)
        if message is not None and message.is_notice:
            return
        example = self._session.scalar(select(Example).where(Example.message_id == message_id))
        if example is None:
            example = Example(account_id=account.id, message_id=message_id)
            self._session.add(example)
        example.folder_id = folder.id if folder is not None else None
        example.source = source
        example.labelled_at = now
        example.excluded_at = None

    def forget(self, example: Example) -> None:
        """Nothing was taught about its message after all."""
        self._session.delete(example)
        self._session.flush()

    def usable(self, account: Account) -> list[Example]:
        """Examples that count: not excluded, their folder still there and still a label."""
        query = (
            select(Example)
            .outerjoin(Example.folder)
            .where(
                *_usable(account),
            )
            .options(
                joinedload(Example.message).selectinload(Message.reference_rows),
                joinedload(Example.folder),
            )
            .order_by(Example.id)
        )
        return list(self._session.scalars(query))

    def taught(self, account: Account) -> list[Taught]:
        """The same as plain values, in the same order: thousands at each fit."""
        references: dict[int, list[str]] = {}
        for message_id, hashed in self._session.execute(
            select(MessageReference.message_id, MessageReference.hash)
            .join(Example, Example.message_id == MessageReference.message_id)
            .where(Example.account_id == account.id)
            .order_by(MessageReference.message_id, MessageReference.position)
        ):
            references.setdefault(message_id, []).append(hashed)
        query = (
            select(
                Example.message_id,
                Example.folder_id,
                Folder.name,
                Example.source,
                Message.message_id_hash,
                Message.internal_date,
                Message.sent_at,
            )
            .select_from(Example)
            .join(Example.message)
            .outerjoin(Example.folder)
            .where(*_usable(account))
            .order_by(Example.id)
        )
        return [
            Taught(
                message_id=row.message_id,
                folder_id=row.folder_id,
                folder=row.name,
                source=row.source,
                message_id_hash=row.message_id_hash,
                reference_hashes=tuple(references.get(row.message_id, ())),
                internal_date=row.internal_date,
                sent_at=row.sent_at,
            )
            for row in self._session.execute(query)
        ]

    def usable_ids(self, account: Account) -> list[int]:
        """The messages of the usable examples."""
        query = (
            select(Example.message_id)
            .outerjoin(Example.folder)
            .where(*_usable(account))
            .order_by(Example.id)
        )
        return list(self._session.scalars(query))

    def every(self, account: Account) -> list[Example]:
        """All examples, also those that do not count, newest word first."""
        query = (
            select(Example)
            .where(Example.account_id == account.id)
            .options(joinedload(Example.message), joinedload(Example.folder))
            .order_by(Example.labelled_at.desc(), Example.id.desc())
        )
        return list(self._session.scalars(query))

    def of_message(self, message_id: int) -> Example | None:
        """What was taught about one message, counting or not."""
        query = (
            select(Example)
            .where(Example.message_id == message_id)
            .options(joinedload(Example.folder), joinedload(Example.message))
        )
        return self._session.scalar(query)

    def count(self, account: Account) -> int:
        """Number of usable examples."""
        query = (
            select(func.count(Example.id))
            .select_from(Example)
            .outerjoin(Example.folder)
            .where(
                *_usable(account),
            )
        )
        return self._session.scalar(query) or 0

    def counts_by_folder(self, account: Account) -> dict[int | None, int]:
        """Number of usable examples per folder id (None: leave it in the inbox)."""
        query = (
            select(Example.folder_id, func.count())
            .where(Example.account_id == account.id, Example.excluded_at.is_(None))
            .group_by(Example.folder_id)
        )
        return dict(self._session.execute(query).all())

    def folders_by_message(self, account: Account) -> dict[int, str | None]:
        """Folder name (None: leave it in the inbox) of every usable example, by message id."""
        query = (
            select(Example.message_id, Folder.name)
            .select_from(Example)
            .outerjoin(Example.folder)
            .where(*_usable(account))
        )
        return dict(self._session.execute(query).all())

    def count_of(self, message_ids: Iterable[int]) -> int:
        """How many of these messages are examples, counting or not."""
        query = select(func.count()).select_from(Example)
        return sum(
            self._session.scalar(query.where(Example.message_id.in_(some))) or 0
            for some in chunks(message_ids)
        )

    def shut_out(self, message_ids: Iterable[int], now: datetime) -> None:
        """Never learn from these messages again, unless a person moves them: excluded, also those
        that taught nothing yet, which the next look into the folders would take up."""
        for some in chunks(message_ids):
            of_these = Example.message_id.in_(some)
            known = set(self._session.scalars(select(Example.message_id).where(of_these)))
            messages = self._session.scalars(select(Message).where(Message.id.in_(some)))
            self._session.add_all(
                Example(
                    account_id=message.account_id,
                    message_id=message.id,
                    source="forgotten",
                    labelled_at=now,
                )
                for message in messages
                if message.id not in known
            )
            self._session.flush()
            self._session.execute(
                update(Example).where(of_these).values(excluded_at=now, source="forgotten")
            )

    def data_hash(self, account: Account) -> str:
        """Identifies the present set of usable examples and their labels."""
        query = (
            select(Example.message_id, Example.folder_id)
            .outerjoin(Example.folder)
            .where(*_usable(account))
            .order_by(Example.id)
        )
        digest = hashlib.blake2b(digest_size=16)
        for message_id, folder_id in self._session.execute(query):
            digest.update(f"{message_id}:{folder_id};".encode())
        return digest.hexdigest()


def _usable(account: Account) -> tuple[ColumnElement[bool], ...]:
    """Conditions on examples, outer-joined with their folders; no folder means: leave it."""
    return (
        Example.account_id == account.id,
        Example.excluded_at.is_(None),
        or_(
            Example.folder_id.is_(None),
            and_(Folder.retired_at.is_(None), Folder.role == Role.LABEL),
        ),
    )


class FeatureCache:
    """Features by message, valid only under one fingerprint."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def put(self, fingerprint: str, rows: Mapping[int, bytes]) -> None:
        """Store features by message row id."""
        for some in chunks(rows.items()):
            insert_or_replace(
                self._session,
                FeatureRow,
                [
                    {"message_id": message_id, "fingerprint": fingerprint, "data": data}
                    for message_id, data in some
                ],
                key=("message_id", "fingerprint"),
                replaced="data",
            )

    def get(self, fingerprint: str, message_ids: Iterable[int]) -> dict[int, bytes]:
        """Cached features of those of the messages that have them."""
        found: dict[int, bytes] = {}
        for some in chunks(message_ids):
            query = select(FeatureRow.message_id, FeatureRow.data).where(
                FeatureRow.fingerprint == fingerprint, FeatureRow.message_id.in_(some)
            )
            found.update(dict(self._session.execute(query).all()))
        return found

    def headers(self, fingerprint: str, message_ids: Iterable[int], size: int) -> dict[int, bytes]:
        """The first `size` bytes of cached features, of those of the messages that have them."""
        found: dict[int, bytes] = {}
        start = func.substr(FeatureRow.data, 1, size, type_=LargeBinary)
        for some in chunks(message_ids):
            query = select(FeatureRow.message_id, start).where(
                FeatureRow.fingerprint == fingerprint, FeatureRow.message_id.in_(some)
            )
            found.update(dict(self._session.execute(query).all()))
        return found

    def missing(self, fingerprint: str, message_ids: Iterable[int]) -> set[int]:
        """Those of the messages that have no features under this fingerprint."""
        wanted = set(message_ids)
        for some in chunks(list(wanted)):
            query = select(FeatureRow.message_id).where(
                FeatureRow.fingerprint == fingerprint, FeatureRow.message_id.in_(some)
            )
            wanted.difference_update(self._session.scalars(query))
        return wanted

    def every(self, account: Account) -> Iterator[tuple[int, bytes]]:
        """Message row id and features of an account, under whatever fingerprint."""
        query = (
            select(FeatureRow.message_id, FeatureRow.data)
            .join(Message, Message.id == FeatureRow.message_id)
            .where(Message.account_id == account.id)
            .execution_options(yield_per=CHUNK)
        )
        for row in self._session.execute(query):
            yield row.message_id, row.data

    def drop(self, message_ids: Iterable[int]) -> None:
        """Delete all features of these messages."""
        for some in chunks(message_ids):
            self._session.execute(delete(FeatureRow).where(FeatureRow.message_id.in_(some)))

    def drop_other(self, account: Account, *fingerprints: str) -> int:
        """Delete an account's features of other encoders or preparations; returns how many."""
        mine = select(Message.id).where(Message.account_id == account.id)
        result = self._session.execute(
            delete(FeatureRow).where(
                FeatureRow.fingerprint.not_in(fingerprints), FeatureRow.message_id.in_(mine)
            )
        )
        return int(getattr(result, "rowcount", 0))


class Models:
    """The history of trained models of an account."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, model: ModelRow) -> None:
        """Record a trained model."""
        self._session.add(model)

    def of(self, account: Account) -> list[ModelRow]:
        """All models, newest first."""
        query = (
            select(ModelRow).where(ModelRow.account_id == account.id).order_by(ModelRow.id.desc())
        )
        return list(self._session.scalars(query))

    def delete(self, model: ModelRow) -> None:
        """Forget that a model was trained."""
        self._session.delete(model)

    def drop_newer(self, account: Account, versions: Collection[str]) -> None:
        """Forget the models that were trained after the newest of `versions`."""
        for row in self.of(account):
            if row.version in versions:
                return
            self._session.delete(row)

    def get(self, account: Account, version: str) -> ModelRow | None:
        """One model by version."""
        return self._session.scalar(
            select(ModelRow).where(ModelRow.account_id == account.id, ModelRow.version == version)
        )

    def newest_version(self, account: Account) -> str | None:
        """The version of the model trained last, promoted or not."""
        return self._session.scalar(
            select(ModelRow.version)
            .where(ModelRow.account_id == account.id)
            .order_by(ModelRow.id.desc())
            .limit(1)
        )

    def newest(self, account: Account) -> ModelRow | None:
        """The model trained last, promoted or not."""
        return self._session.scalar(
            select(ModelRow)
            .where(ModelRow.account_id == account.id)
            .order_by(ModelRow.id.desc())
            .limit(1)
        )
