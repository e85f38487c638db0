"""Repositories for whom and what to trust: folders' promises, people's contacts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.orm import Session, joinedload

from daemon.store.inserting import insert_new
from daemon.store.mail import chunks
from daemon.store.tables import (
    Account,
    Action,
    Contact,
    ContactBook,
    Correction,
    Decision,
    Folder,
    Hold,
    Move,
    MoveKind,
    MoveState,
    Promise,
)


@dataclass(frozen=True, slots=True)
class MoveOutcome:
    """One move by the model. `wrong` None: a person moved the mail away, and said later that
    this was not meant."""

    finished_at: datetime
    wrong: bool | None


class Promises:
    """What folders promised, and what became of the moves into them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_or_create(self, folder: Folder) -> Promise:
        """The row of a folder, made when it is first needed."""
        found = self._session.get(Promise, folder.id)
        if found is None:
            found = Promise(folder_id=folder.id, account_id=folder.account_id)
            found.folder = folder
            self._session.add(found)
        return found

    def of(self, account: Account) -> list[Promise]:
        """All rows of folders that exist."""
        query = (
            select(Promise)
            .join(Promise.folder)
            .where(Promise.account_id == account.id, Folder.retired_at.is_(None))
            .options(joinedload(Promise.folder))
            .order_by(Folder.name)
        )
        return list(self._session.scalars(query))

    def broken(self, account: Account) -> list[Promise]:
        """Those of folders into which nothing is moved for now."""
        return [each for each in self.of(account) if each.broken_at is not None]

    def moved_into(self, account: Account) -> set[int]:
        """Ids of the folders into which the model has moved mail."""
        query = select(Move.target_folder_id).distinct().join(Move.decision)
        return set(self._session.scalars(query.where(*_by_the_model(account))))

    def overruled(self, account: Account) -> set[int]:
        """Ids of the folders out of which a person has moved what inboxd had put there."""
        query = select(Correction.from_folder_id).distinct()
        return set(
            self._session.scalars(
                query.where(Correction.account_id == account.id, Correction.overrules.is_(True))
            )
        )

    def outcomes(
        self, account: Account, folder_id: int, since: datetime | None, limit: int
    ) -> list[MoveOutcome]:
        """What became of the model's last `limit` moves into a folder, oldest first.

        Not counted: a rule's moves, and those that were undone, which says nothing of each mail.
        """
        query = (
            select(Move.finished_at, _overruled(discarded=False), _overruled(discarded=True))
            .join(Move.decision)
            .where(*_by_the_model(account), Move.target_folder_id == folder_id)
            .order_by(Move.id.desc())
            .limit(limit)
        )
        if since is not None:
            query = query.where(Move.finished_at >= since)
        found = [
            MoveOutcome(at, None if taken_back and not wrong else bool(wrong))
            for at, wrong, taken_back in self._session.execute(query)
            if at is not None
        ]
        return found[::-1]


def _by_the_model(account: Account) -> tuple[ColumnElement[bool], ...]:
    return (
        Move.account_id == account.id,
        Move.kind == MoveKind.SORT,
        Move.state == MoveState.MOVED,
        Decision.action == Action.MOVED,
        Decision.rule.is_(None),
    )


def _overruled(*, discarded: bool) -> ColumnElement[bool]:
    """Whether a person moved the mail away from where the move had put it, later."""
    meant = Correction.hold == Hold.DISCARDED
    if not discarded:
        meant = Correction.hold.is_(None) | (Correction.hold != Hold.DISCARDED)
    return exists().where(
        Correction.message_id == Move.message_id,
        Correction.from_folder_id == Move.target_folder_id,
        Correction.overrules.is_(True),
        Correction.noticed_at >= Move.finished_at,
        meant,
    )


class Contacts:
    """To whom an account's owner writes."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def book(self, account: Account) -> ContactBook | None:
        """How far the sent mail was read; None when it never was."""
        return self._session.get(ContactBook, account.id)

    def add_book(self, book: ContactBook) -> None:
        """Begin to read an account's sent mail."""
        self._session.add(book)
        self._session.flush()

    def add(self, account: Account, hashes: Collection[str]) -> None:
        """Remember these; those that are known already do no harm."""
        for some in chunks(hashes):
            rows = [{"account_id": account.id, "hash": each} for each in some]
            insert_new(self._session, Contact, rows)

    def hashes(self, account: Account) -> frozenset[str]:
        """All of them."""
        query = select(Contact.hash).where(Contact.account_id == account.id)
        return frozenset(self._session.scalars(query))

    def forget(self, account: Account) -> None:
        """Drop them and the book."""
        for table in (Contact, ContactBook):
            self._session.execute(delete(table).where(table.account_id == account.id))
