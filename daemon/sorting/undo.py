"""Undoing: mail that inboxd moved goes back to the inbox, if nobody has touched it since.

An undone mail stays in the inbox for good, and teaches nothing: a person who undoes a whole
hour has not judged each mail. Moving it to the right folder does teach.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from daemon.mailbox.port import Mailbox
from daemon.sorting.mover import Clock, MoveRequest, execute, look_at_targets, plan
from daemon.store import Store, UnitOfWork
from daemon.store.tables import Account, ArrivedBy, Move, MoveKind, Placement


@dataclass(frozen=True, slots=True)
class Undone:
    """The outcome for one mail; `reason` says why it was left alone."""

    message_id: int
    folder: str
    undone: bool
    reason: str


@dataclass(frozen=True, slots=True)
class UndoSelection:
    """Which moves to undo: by message, the last N, or all since a time."""

    message_ids: tuple[int, ...] | None = None
    last: int | None = None
    since: datetime | None = None


def undo(
    store: Store, mailbox: Mailbox, account_name: str, selection: UndoSelection, clock: Clock
) -> list[Undone]:
    """Move back what the selection names. Call it after an observation pass, so that what
    people did meanwhile is known."""
    outcomes: list[Undone] = []
    with store.read() as work:
        known = work.accounts.get(account_name)
        inbox = work.folders.inbox(known) if known is not None else None
    targets = look_at_targets(mailbox, [inbox] if inbox is not None else [])
    with store.write() as work:
        account = work.accounts.get_or_create(account_name, clock())
        inbox = work.folders.inbox(account)
        requests: list[MoveRequest] = []
        for move in _selected(work, account, selection):
            placement = _untouched(work, move)
            if placement is None or inbox is None:
                reason = "it was moved or deleted since"
                outcomes.append(Undone(move.message_id, move.target_folder.name, False, reason))
                continue
            requests.append(MoveRequest(placement, inbox, move.decision, MoveKind.UNDO))
            # Before the server hears of it: from now on it is never sorted again.
            placement.message.kept = True
        plan(work, account, requests, targets, clock())
        work.commit()
    report = execute(store, mailbox, account_name, clock)
    moved = set(report.moved)
    for request in requests:
        done = request.placement.message_id in moved
        reason = "moved back" if done else "the server did not move it"
        folder = request.placement.folder.name
        outcomes.append(Undone(request.placement.message_id, folder, done, reason))
    return outcomes


def _selected(work: UnitOfWork, account: Account, selection: UndoSelection) -> Iterable[Move]:
    return work.moves.done(
        account,
        limit=selection.last,
        since=selection.since,
        message_ids=selection.message_ids,
    )


def _untouched(work: UnitOfWork, move: Move) -> Placement | None:
    """The placement in which inboxd put the mail, if it still lies exactly there."""
    return next(
        (
            p
            for p in work.placements.of_message(move.message_id)
            if p.folder_id == move.target_folder_id
            and p.uid == move.target_uid
            and p.arrived_by is ArrivedBy.INBOXD
        ),
        None,
    )
