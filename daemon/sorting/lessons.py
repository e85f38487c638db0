"""What a person's move means, and what is written down of it.

| from → to | kind | example |
|---|---|---|
| inbox or neutral → label | filed | that label |
| label → another label | relabelled | the new label |
| label → inbox | put back | "leave it"; never moved again |
| anything → neutral | set aside | none |
| neutral → inbox | restored | none; never moved again |
| several candidates, or a mail that may have been sent again | ambiguous | none |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.sorting.mover import carried_out
from daemon.store import UnitOfWork
from daemon.store.tables import (
    Account,
    Action,
    ArrivedBy,
    Correction,
    CorrectionKind,
    Decision,
    Move,
    Placement,
    Role,
)

LATE_MOVE = timedelta(days=1)
"""A command that timed out may still be carried out by the server this much later."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """One move by a person, for reports and for following along."""

    message_id: int
    kind: CorrectionKind
    from_folder: str
    to_folder: str
    overrules: bool
    held: bool = False
    """Part of a burst: recorded, and learned only when a person confirms it."""


def kind_of(source: Role, target: Role) -> CorrectionKind:
    """The table above."""
    if target is Role.NEUTRAL:
        return CorrectionKind.SET_ASIDE
    if target is Role.INBOX:
        return CorrectionKind.PUT_BACK if source is Role.LABEL else CorrectionKind.RESTORED
    return CorrectionKind.RELABELLED if source is Role.LABEL else CorrectionKind.FILED


def apply_link(
    work: UnitOfWork,
    account: Account,
    source: Placement,
    target: Placement,
    by: str,
    now: datetime,
) -> Noticed | None:
    """Write down one move; None when it was no person's move (a renumbered folder, or our own
    command that the server carried out late), and when it says nothing (where somebody keeps
    inboxd's own notices). What it teaches, `bursts.learn_or_hold` learns."""
    source.departure_explained = True
    may_be_sent_again = _may_be_sent_again(source, target, by)
    _unite(work, source, target)
    message = source.message
    if source.folder_id == target.folder_id:
        target.arrived_by = source.arrived_by
        if target.folder.role is Role.INBOX and source.uid_validity == target.uid_validity:
            # Not renumbered: a person took it away and put it back between two looks.
            message.kept = True
        return None
    late = work.moves.unfulfilled(message.id, target.folder_id, now - LATE_MOVE)
    if late is not None and late.source_folder_id == source.folder_id:
        _complete_late(late, target, now)
        return None
    target.arrived_by = ArrivedBy.USER
    if message.is_notice:
        return None
    kind = kind_of(source.folder.role, target.folder.role)
    if may_be_sent_again and kind.teaches:
        kind = CorrectionKind.AMBIGUOUS
    overrules = kind is not CorrectionKind.SET_ASIDE and _overrules(work, source)
    work.corrections.add(
        Correction(
            account_id=account.id,
            message_id=message.id,
            kind=kind,
            from_folder_id=source.folder_id,
            to_folder_id=target.folder_id,
            linked_by=by,
            noticed_at=now,
            overrules=overrules,
        )
    )
    if target.folder.role is Role.INBOX:
        message.kept = True
    return Noticed(message.id, kind, source.folder.name, target.folder.name, overrules)


def apply_ambiguity(
    work: UnitOfWork,
    account: Account,
    sources: Sequence[Placement],
    targets: Sequence[Placement],
    by: str,
    now: datetime,
) -> list[Noticed]:
    """Record moves that cannot be told apart; nothing is learned, nothing is moved again."""
    for source in sources:
        source.departure_explained = True
    noticed = []
    for target in targets:
        stayed = [s for s in sources if s.folder_id == target.folder_id]
        # One of inboxd's own moves must not pass for a person's when a folder is renumbered.
        own = any(s.arrived_by is ArrivedBy.INBOXD for s in stayed)
        target.arrived_by = ArrivedBy.INBOXD if own else ArrivedBy.USER
        if target.folder.role is Role.INBOX:
            target.message.kept = True
        if stayed or target.message.is_notice:
            continue
        work.corrections.add(
            Correction(
                account_id=account.id,
                message_id=target.message_id,
                kind=CorrectionKind.AMBIGUOUS,
                from_folder_id=sources[0].folder_id,
                to_folder_id=target.folder_id,
                linked_by=by,
                noticed_at=now,
            )
        )
        noticed.append(
            Noticed(
                target.message_id,
                CorrectionKind.AMBIGUOUS,
                sources[0].folder.name,
                target.folder.name,
                overrules=False,
            )
        )
    return noticed


def _may_be_sent_again(source: Placement, target: Placement, by: str) -> bool:
    """Whether the arrival may be a copy that its sender sent again just when the user deleted
    the first one: alike by content only, in the inbox, and with another INTERNALDATE, which
    MOVE, COPY and most uploads keep (RFC 3501, 6.4.7). A sender must not teach."""
    return (
        by == "content"
        and target.folder.role is Role.INBOX
        and source.message.internal_date != target.message.internal_date
    )


def _unite(work: UnitOfWork, source: Placement, target: Placement) -> None:
    """Linked by content, the arrival got a row of its own: it is the same message."""
    if source.message_id == target.message_id:
        return
    newcomer, known = target.message, source.message
    known.server_id = newcomer.server_id
    known.kept = known.kept or newcomer.kept
    work.placements.hand_over(newcomer, known)
    work.flush()
    work.messages.delete(newcomer)
    work.flush()


def _complete_late(move: Move, target: Placement, now: datetime) -> None:
    """Our own command was carried out after we had given it up: it is our move after all."""
    move.target_uid = target.uid
    move.finished_at = now
    target.arrived_by = ArrivedBy.INBOXD
    carried_out(move)


def _overrules(work: UnitOfWork, source: Placement) -> bool:
    """Whether the mail lay where inboxd had put it."""
    return source.arrived_by is ArrivedBy.INBOXD and _moved(
        work.decisions.of_message(source.message_id)
    )


def _moved(decision: Decision | None) -> bool:
    return decision is not None and decision.action is Action.MOVED
