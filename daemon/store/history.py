"""Repositories for what happened: decisions, moves, corrections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session, joinedload

from daemon.store.mail import chunks
from daemon.store.tables import (
    TEACHING_KINDS,
    Account,
    Action,
    Correction,
    CorrectionKind,
    Decision,
    Folder,
    Hold,
    Move,
    MoveKind,
    MoveState,
    Placement,
)

_STRIPPED: dict[str, Any] = {
    "folder_id": None,
    "probability": None,
    "threshold": None,
    "ranked": [],
    "rule": None,
    "model_version": None,
}


Period = tuple[datetime, datetime]
"""From the first moment on, and before the second."""


def _within(
    moment: InstrumentedAttribute[datetime], period: Period | None
) -> tuple[ColumnElement[bool], ...]:
    return () if period is None else (moment >= period[0], moment < period[1])


class Decisions:
    """What inboxd decided."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, decision: Decision) -> None:
        """Record a decision."""
        self._session.add(decision)

    def of_message(self, message_id: int) -> Decision | None:
        """The latest decision about a message."""
        return self._session.scalar(
            select(Decision)
            .where(Decision.message_id == message_id)
            .options(joinedload(Decision.folder), joinedload(Decision.message))
            .order_by(Decision.id.desc())
            .limit(1)
        )

    def get(self, decision_id: int) -> Decision | None:
        """One decision by id."""
        return self._session.get(Decision, decision_id)

    def latest(
        self,
        account: Account,
        limit: int,
        *,
        since: datetime | None = None,
        action: Action | None = None,
    ) -> list[Decision]:
        """The newest decisions, newest first."""
        query = (
            select(Decision)
            .where(Decision.account_id == account.id)
            .options(joinedload(Decision.folder), joinedload(Decision.message))
            .order_by(Decision.id.desc())
            .limit(limit)
        )
        if since is not None:
            query = query.where(Decision.decided_at >= since)
        if action is not None:
            query = query.where(Decision.action == action)
        return list(self._session.scalars(query))

    def after(self, account: Account, decision_id: int) -> list[Decision]:
        """Decisions with a higher id, oldest first (for following along)."""
        query = (
            select(Decision)
            .where(Decision.account_id == account.id, Decision.id > decision_id)
            .options(joinedload(Decision.folder), joinedload(Decision.message))
            .order_by(Decision.id)
        )
        return list(self._session.scalars(query))

    def delete(self, decision: Decision) -> None:
        """Take back a decision whose move never happened, so that it is made again."""
        self._session.delete(decision)

    def count_of(self, message_ids: Iterable[int]) -> int:
        """Number of decisions about these messages."""
        query = select(func.count()).select_from(Decision)
        return sum(
            self._session.scalar(query.where(Decision.message_id.in_(some))) or 0
            for some in chunks(message_ids)
        )

    def strip(self, message_ids: Iterable[int], reason: str) -> None:
        """Leave of the decisions about these messages that there was one, when, and what became
        of it: a mail is decided once, and counts stay right."""
        for some in chunks(message_ids):
            self._session.execute(
                update(Decision)
                .where(Decision.message_id.in_(some))
                .values(**_STRIPPED, reason=reason)
            )

    def strip_older(self, account: Account, limit: datetime, reason: str) -> int:
        """The same for an account's decisions from before `limit`, apart from those whose move is
        not settled yet; returns how many there were to strip."""
        result = self._session.execute(
            update(Decision)
            .where(
                Decision.account_id == account.id,
                Decision.decided_at < limit,
                Decision.action != Action.PLANNED,
                Decision.model_version.is_not(None) | Decision.folder_id.is_not(None),
            )
            .values(**_STRIPPED, reason=reason)
        )
        return int(getattr(result, "rowcount", 0))

    def counts(self, account: Account) -> dict[Action, int]:
        """Number of decisions per outcome."""
        query = (
            select(Decision.action, func.count())
            .where(Decision.account_id == account.id)
            .group_by(Decision.action)
        )
        return dict(self._session.execute(query).all())

    def counts_by_folder(
        self, account: Account, period: Period | None = None
    ) -> dict[tuple[int | None, Action], int]:
        """Number of decisions per folder id (None: no folder, or it is gone) and outcome."""
        query = (
            select(Decision.folder_id, Decision.action, func.count())
            .where(Decision.account_id == account.id, *_within(Decision.decided_at, period))
            .group_by(Decision.folder_id, Decision.action)
        )
        return {(folder, action): count for folder, action, count in self._session.execute(query)}

    def counts_by_rule(self, account: Account) -> dict[str, int]:
        """Number of decisions per rule, as they were stored with them."""
        query = (
            select(Decision.rule, func.count())
            .where(Decision.account_id == account.id, Decision.rule.is_not(None))
            .group_by(Decision.rule)
        )
        return {rule: count for rule, count in self._session.execute(query) if rule is not None}


_MAY_BE_CARRIED_OUT = (MoveState.PLANNED, MoveState.CANCELLED, MoveState.FAILED)
"""Moves that are not settled, or that the server may yet carry out late."""


class Moves:
    """The journal of planned and finished moves."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, move: Move) -> None:
        """Plan a move. It counts only after the commit."""
        self._session.add(move)

    def planned(self, account: Account) -> list[Move]:
        """Moves whose outcome is not known."""
        query = (
            select(Move)
            .where(Move.account_id == account.id, Move.state == MoveState.PLANNED)
            .options(
                joinedload(Move.message),
                joinedload(Move.decision),
                joinedload(Move.source_folder),
                joinedload(Move.target_folder),
            )
            .order_by(Move.id)
        )
        return list(self._session.scalars(query))

    def forget_planned(self, account: Account) -> None:
        """Drop unsettled plans; only sensible on a copy of the database."""
        self._session.execute(
            delete(Move).where(Move.account_id == account.id, Move.state == MoveState.PLANNED)
        )

    def by_ids(self, ids: Iterable[int]) -> list[Move]:
        """Moves by id, ascending."""
        found: list[Move] = []
        for some in chunks(ids):
            query = (
                select(Move)
                .where(Move.id.in_(some))
                .options(joinedload(Move.message), joinedload(Move.decision))
                .order_by(Move.id)
            )
            found.extend(self._session.scalars(query))
        return found

    def count_cancelled(self, message_id: int) -> int:
        """How often a move of this message was given up because it had not happened."""
        query = select(func.count()).where(
            Move.message_id == message_id, Move.state == MoveState.CANCELLED
        )
        return self._session.scalar(query) or 0

    def unfulfilled(self, message_id: int, target_folder_id: int, since: datetime) -> Move | None:
        """A move without a known good end that the server may yet have carried out late."""
        return self._session.scalar(
            select(Move)
            .where(
                Move.message_id == message_id,
                Move.target_folder_id == target_folder_id,
                Move.state.in_([MoveState.CANCELLED, MoveState.FAILED, MoveState.ELSEWHERE]),
                Move.planned_at >= since,
            )
            .order_by(Move.id.desc())
            .limit(1)
        )

    def outstanding(self, message_id: int, target_folder_id: int, since: datetime) -> Move | None:
        """The earliest attempt since then that was not carried out when inboxd looked, whatever
        the server had answered, and may be carried out late."""
        return self._session.scalar(
            select(Move)
            .where(
                Move.message_id == message_id,
                Move.target_folder_id == target_folder_id,
                Move.state.in_(_MAY_BE_CARRIED_OUT),
                Move.planned_at >= since,
            )
            .options(joinedload(Move.source_folder))
            .order_by(Move.id)
            .limit(1)
        )

    def renumber_source(self, old: Placement, uid_validity: int, uid: int) -> None:
        """The message of `old` has another number now: so it has in every move out of there that
        is not settled, or that the server may yet carry out late."""
        self._session.execute(
            update(Move)
            .where(
                Move.message_id == old.message_id,
                Move.source_folder_id == old.folder_id,
                Move.source_uid_validity == old.uid_validity,
                Move.source_uid == old.uid,
                Move.state.in_(_MAY_BE_CARRIED_OUT),
            )
            .values(source_uid_validity=uid_validity, source_uid=uid)
        )

    def renumber_target(self, folder: Folder, uid_validity: int) -> None:
        """The folder has new numbers: whatever in it is not known under them may be the copy that
        such a move made."""
        self._session.execute(
            update(Move)
            .where(
                Move.target_folder_id == folder.id,
                Move.target_uid_validity != uid_validity,
                Move.state.in_(_MAY_BE_CARRIED_OUT),
            )
            .values(target_uid_validity=uid_validity, target_uid_next=1)
        )

    def done(
        self,
        account: Account,
        *,
        limit: int | None = None,
        since: datetime | None = None,
        message_ids: Iterable[int] | None = None,
    ) -> list[Move]:
        """Finished sorting moves that were not undone, newest first: what undo can undo."""
        query = (
            select(Move)
            .outerjoin(Move.decision)
            .where(
                Move.account_id == account.id,
                Move.kind == MoveKind.SORT,
                Move.state == MoveState.MOVED,
                or_(Decision.id.is_(None), Decision.action != Action.UNDONE),
            )
            .options(
                joinedload(Move.message),
                joinedload(Move.decision),
                joinedload(Move.source_folder),
                joinedload(Move.target_folder),
            )
            .order_by(Move.id.desc())
        )
        if since is not None:
            query = query.where(Move.finished_at >= since)
        if message_ids is not None:
            query = query.where(Move.message_id.in_(list(message_ids)))
        if limit is not None:
            query = query.limit(limit)
        return list(self._session.scalars(query))

    def last_of_message(self, message_id: int) -> Move | None:
        """The latest finished move of a message."""
        return self._session.scalar(
            select(Move)
            .where(Move.message_id == message_id, Move.state == MoveState.MOVED)
            .order_by(Move.id.desc())
            .limit(1)
        )


@dataclass(frozen=True, slots=True)
class CorrectionCount:
    """`mails` that people moved between two folders (by row id); `overrules`: inboxd had filed
    them. Held and discarded lessons are counted as moves too."""

    kind: CorrectionKind
    from_folder: int
    to_folder: int
    overrules: bool
    mails: int


class Corrections:
    """What people moved."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, correction: Correction) -> None:
        """Record a person's move."""
        self._session.add(correction)

    def latest(self, account: Account, limit: int) -> list[Correction]:
        """The newest corrections, newest first."""
        query = (
            select(Correction)
            .where(Correction.account_id == account.id)
            .options(joinedload(Correction.from_folder), joinedload(Correction.to_folder))
            .order_by(Correction.id.desc())
            .limit(limit)
        )
        return list(self._session.scalars(query))

    def of_message(self, message_id: int) -> list[Correction]:
        """All corrections of one message, oldest first."""
        query = (
            select(Correction)
            .where(Correction.message_id == message_id)
            .options(joinedload(Correction.from_folder), joinedload(Correction.to_folder))
            .order_by(Correction.id)
        )
        return list(self._session.scalars(query))

    def lessons_since(self, account: Account, since: datetime) -> list[Correction]:
        """What people's moves since then teach, learned or held, oldest first; without what a
        person has already confirmed or discarded."""
        query = (
            select(Correction)
            .where(
                Correction.account_id == account.id,
                Correction.noticed_at >= since,
                Correction.kind.in_(TEACHING_KINDS),
                or_(Correction.hold.is_(None), Correction.hold == Hold.HELD),
            )
            .options(joinedload(Correction.from_folder), joinedload(Correction.to_folder))
            .order_by(Correction.id)
        )
        return list(self._session.scalars(query))

    def held(self, account: Account) -> list[Correction]:
        """Lessons that wait for a person's word, oldest first."""
        query = (
            select(Correction)
            .where(Correction.account_id == account.id, Correction.hold == Hold.HELD)
            .options(joinedload(Correction.from_folder), joinedload(Correction.to_folder))
            .order_by(Correction.id)
        )
        return list(self._session.scalars(query))

    def count_held(self, account: Account) -> int:
        """Number of lessons that wait for a person's word."""
        query = select(func.count()).where(
            Correction.account_id == account.id, Correction.hold == Hold.HELD
        )
        return self._session.scalar(query) or 0

    def not_learned(self, message_ids: Iterable[int]) -> list[Correction]:
        """Lessons about these messages that are held or were discarded."""
        found: list[Correction] = []
        for some in chunks(message_ids):
            query = (
                select(Correction)
                .where(
                    Correction.message_id.in_(some),
                    Correction.hold.in_([Hold.HELD, Hold.DISCARDED]),
                )
                .order_by(Correction.id)
            )
            found.extend(self._session.scalars(query))
        return found

    def counts(self, account: Account, period: Period | None = None) -> list[CorrectionCount]:
        """Number of moves by people, by what they mean and where from and to."""
        columns = (
            Correction.kind,
            Correction.from_folder_id,
            Correction.to_folder_id,
            Correction.overrules,
        )
        query = (
            select(*columns, func.count())
            .where(Correction.account_id == account.id, *_within(Correction.noticed_at, period))
            .group_by(*columns)
        )
        return [CorrectionCount(*row) for row in self._session.execute(query)]

    def count_teaching(self, account: Account) -> int:
        """Number of moves by people that taught something."""
        query = select(func.count()).where(
            Correction.account_id == account.id,
            Correction.kind.in_(TEACHING_KINDS),
            or_(Correction.hold.is_(None), Correction.hold == Hold.CONFIRMED),
        )
        return self._session.scalar(query) or 0

    def count_overruling(self, account: Account) -> int:
        """Number of inboxd's own moves that a person overruled."""
        query = select(func.count(func.distinct(Correction.message_id))).where(
            Correction.account_id == account.id, Correction.overrules.is_(True)
        )
        return self._session.scalar(query) or 0

    def arrivals_by_folder(self, account: Account) -> dict[int, int]:
        """Number of teaching corrections per target folder id."""
        query = (
            select(Folder.id, func.count())
            .join(Correction, Correction.to_folder_id == Folder.id)
            .where(Correction.account_id == account.id, Correction.kind.in_(TEACHING_KINDS))
            .group_by(Folder.id)
        )
        return dict(self._session.execute(query).all())
