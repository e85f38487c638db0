"""Repository for attempts at reading messages: written before, deleted after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from daemon.store.mail import chunks
from daemon.store.tables import ReadingAttempt


class ReadingAttempts:
    """How often reading a message was begun without being finished."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def counts(self, message_ids: Iterable[int]) -> dict[int, int]:
        """Unfinished attempts of those of the messages that have any."""
        found: dict[int, int] = {}
        for some in chunks(message_ids):
            query = select(ReadingAttempt.message_id, ReadingAttempt.count).where(
                ReadingAttempt.message_id.in_(some)
            )
            found.update(dict(self._session.execute(query).all()))
        return found

    def put(self, counts: Mapping[int, int], now: datetime) -> None:
        """Replace the counts of these messages; zero forgets."""
        for some in chunks(counts):
            self._session.execute(delete(ReadingAttempt).where(ReadingAttempt.message_id.in_(some)))
        rows = [
            {"message_id": message_id, "count": count, "last_at": now}
            for message_id, count in counts.items()
            if count
        ]
        if rows:
            self._session.execute(insert(ReadingAttempt), rows)
