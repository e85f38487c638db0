"""Repository for the kinds of errors that passes ended in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from daemon.store.tables import Account, Failure


class Failures:
    """How often which kind of error came, by account."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, account: Account, kind: str, now: datetime) -> None:
        """One more of this kind."""
        failure = self._session.get(Failure, (account.id, kind))
        if failure is None:
            failure = Failure(account_id=account.id, kind=kind, count=0, last_at=now)
            self._session.add(failure)
        failure.count += 1
        failure.last_at = now

    def of(self, account: Account) -> list[Failure]:
        """One row per kind, the latest first."""
        query = (
            select(Failure)
            .where(Failure.account_id == account.id)
            .order_by(Failure.last_at.desc(), Failure.kind)
        )
        return list(self._session.scalars(query))
