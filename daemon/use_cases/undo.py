"""Undo for the doors: connect, see what people did meanwhile, then move back."""

from __future__ import annotations

from datetime import datetime

from daemon.errors import NotFound
from daemon.sorting.undo import Undone, UndoSelection, undo
from daemon.use_cases.application import Application
from daemon.use_cases.catch_up import up_to_date
from daemon.use_cases.history import find_message


def undo_moves(
    app: Application,
    name: str,
    *,
    messages: tuple[str, ...] = (),
    last: int | None = None,
    since: datetime | None = None,
) -> list[Undone]:
    """Undo by message (number or Message-ID), the last N, or all since a time.

    Raises `NotFound` for an unknown message, `MailboxError` when the server is out of reach;
    moves that were planned by then are settled at the next pass.
    """
    ids = _message_ids(app, name, messages) if messages else None
    with up_to_date(app, name) as mailbox:
        return undo(app.store, mailbox, name, UndoSelection(ids, last, since), app.clock)


def _message_ids(app: Application, name: str, references: tuple[str, ...]) -> tuple[int, ...]:
    ids = []
    with app.store.read() as work:
        account = work.accounts.get(name)
        for reference in references:
            message = find_message(work, account, reference) if account is not None else None
            if message is None:
                raise NotFound(f"No message {reference!r} is known in account {name}.")
            ids.append(message.id)
    return tuple(ids)
