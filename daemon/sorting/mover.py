"""Moving mail without ever losing it: plan, move, look, record.

The plan is committed before the server hears of it. Whatever the server then answers (or does
not answer), the outcome is decided by looking into both folders: measured against real
servers, a lost or negative reply to MOVE says nothing about whether the messages moved.

    PLANNED ──look──> MOVED       in the target, no longer in the source
                      CANCELLED   still in the source: the decision is made anew
                      FAILED      still in the source, and the server said no
                      ELSEWHERE   in neither: a person was quicker

Without MOVE the mail is copied, the copy is verified, and exactly that UID is expunged.
Without UIDPLUS nothing is moved at all. An original goes only when what lies in the target is
surely its copy (`proof`): a message too many is a nuisance, one too few is a loss.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

import structlog

from daemon.errors import CapabilityMissing, CommandRefused, FolderChanged, FolderMissing
from daemon.mailbox.port import FolderSnapshot, FolderStatus, Mailbox, MessageIdentity
from daemon.sorting.proof import assign, count_off, find_newcomers, find_proven
from daemon.sorting.renumber import follow
from daemon.sorting.rivals import give_way
from daemon.store import Store, UnitOfWork
from daemon.store.tables import (
    Account,
    Action,
    ArrivedBy,
    Decision,
    Folder,
    Move,
    MoveKind,
    MoveState,
    Placement,
)

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]

MAX_ATTEMPTS = 3
"""A server that says OK and moves nothing is not asked for ever."""


LATE_COPY = timedelta(hours=1)
"""How much later than its client believes a server may still carry out a command, also one that it
answered with NO; after that, an equal mail in the target is a person's copy."""

CARRIED_OUT_LATE = "The server carried the move out later than it had answered."

IMPOSSIBLE = "The server can neither MOVE nor UID EXPUNGE."


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """One mail to be moved, and the decision that it follows from (None for an undo)."""

    placement: Placement
    target: Folder
    decision: Decision | None
    kind: MoveKind


@dataclass(slots=True)
class MoveReport:
    """Message row ids by outcome."""

    moved: list[int]
    failed: list[int]

    @classmethod
    def empty(cls) -> MoveReport:
        """Nothing moved yet."""
        return cls([], [])

    def add(self, other: MoveReport) -> None:
        """Count another report in."""
        self.moved += other.moved
        self.failed += other.failed


def look_at_targets(mailbox: Mailbox, folders: Iterable[Folder]) -> dict[int, FolderStatus]:
    """STATUS of each folder that mail is to be moved into, by folder id; before `plan`.

    A folder that has just disappeared is left out.
    """
    found: dict[int, FolderStatus] = {}
    for folder in folders:
        if folder.id not in found:
            try:
                found[folder.id] = mailbox.status(folder.name)
            except FolderMissing:
                log.warning("moves.target_missing", folder=folder.id)
    return found


def plan(
    work: UnitOfWork,
    account: Account,
    requests: Sequence[MoveRequest],
    targets: Mapping[int, FolderStatus],
    now: datetime,
) -> list[Move]:
    """Write the moves down. The caller commits, and only then executes them.

    `targets` is what `look_at_targets` found, for every target of the requests. Where an earlier
    attempt was not carried out at once, its copy counts as this one's, however late it arrives.
    """
    moves = []
    for request in requests:
        status = targets[request.target.id]
        earlier = work.moves.outstanding(
            request.placement.message.id, request.target.id, now - LATE_COPY
        )
        is_again = earlier is not None and earlier.target_uid_validity == status.uid_validity
        move = Move(
            account_id=account.id,
            decision=request.decision,
            message=request.placement.message,
            kind=request.kind,
            state=MoveState.PLANNED,
            source_folder=request.placement.folder,
            source_uid_validity=request.placement.uid_validity,
            source_uid=request.placement.uid,
            target_folder=request.target,
            target_uid_validity=status.uid_validity,
            target_uid_next=(
                min(earlier.target_uid_next, status.uid_next)
                if earlier is not None and is_again
                else status.uid_next
            ),
            planned_at=now,
        )
        work.moves.add(move)
        moves.append(move)
    work.flush()
    return moves


def execute(store: Store, mailbox: Mailbox, account_name: str, clock: Clock) -> MoveReport:
    """Carry out all planned moves of the account, a batch per pair of folders, and settle them.

    Raises `MailboxUnreachable` when the connection dies: the plans stay, and `reconcile`
    settles them over the next connection.
    """
    report = MoveReport.empty()
    for batch in _planned(store, account_name):
        sent = _send(store, mailbox, batch)
        report.add(settle(store, mailbox, account_name, batch, clock(), sent))
    return report


def reconcile(store: Store, mailbox: Mailbox, account_name: str, clock: Clock) -> MoveReport:
    """Settle plans that an earlier connection or a killed process left behind, by looking."""
    report = MoveReport.empty()
    for batch in _planned(store, account_name):
        log.info("moves.reconcile", account=account_name, moves=len(batch))
        report.add(settle(store, mailbox, account_name, batch, clock(), _Sent()))
    return report


def _planned(
    store: Store, account_name: str, ids: Container[int] | None = None
) -> list[list[Move]]:
    """Unsettled moves (of those `ids`) in batches: from one folder to one folder, under one
    pair of UIDVALIDITYs."""
    with store.read() as work:
        account = work.accounts.get(account_name)
        moves = work.moves.planned(account) if account is not None else []

    def pair(move: Move) -> tuple[int, int, int, int]:
        return (
            move.source_folder_id,
            move.source_uid_validity,
            move.target_folder_id,
            move.target_uid_validity,
        )

    wanted = [move for move in moves if ids is None or move.id in ids]
    return [list(group) for _, group in groupby(sorted(wanted, key=pair), key=pair)]


@dataclass(frozen=True, slots=True)
class _Sent:
    """What the server answered, which proves little: `refusal` when it said no, and under which
    UIDs (COPYUID, source to target) it says the messages are now."""

    refusal: str | None = None
    copied: Mapping[int, int] = field(default_factory=dict)


def _send(store: Store, mailbox: Mailbox, batch: Sequence[Move]) -> _Sent:
    """Ask the server to move."""
    if not mailbox.capabilities.can_move_safely:
        return _Sent(IMPOSSIBLE)
    first = batch[0]
    source, target = first.source_folder.name, first.target_folder.name
    uids = [move.source_uid for move in batch]
    try:
        if mailbox.capabilities.move:
            return _Sent(copied=mailbox.move(source, first.source_uid_validity, uids, target))
        return _Sent(copied=_copy_and_expunge(store, mailbox, batch))
    except FolderChanged as error:
        # Decided anew, under the numbers that are in force now.
        log.warning("moves.renumbered", moves=len(batch), error=str(error))
        return _Sent()
    except (CommandRefused, FolderMissing) as error:
        log.warning("moves.refused", moves=len(batch), error=str(error))
        return _Sent(str(error))


def _copy_and_expunge(store: Store, mailbox: Mailbox, batch: Sequence[Move]) -> Mapping[int, int]:
    """The fallback without MOVE: only what verifiably arrived is expunged from the source.

    What an earlier attempt has copied by now, after its connection broke, is not copied again.
    """
    first = batch[0]
    source, target = first.source_folder.name, first.target_folder.name
    earlier = find_newcomers(store, mailbox, batch, _snapshot(mailbox, first.target_folder))
    there = find_proven(store, batch, assign(batch, earlier, {}), {})
    missing = [move for move in batch if move.id not in there]
    copied: Mapping[int, int] = {}
    if missing:
        uids = [move.source_uid for move in missing]
        copied = mailbox.copy(source, first.source_uid_validity, uids, target)
    newcomers = find_newcomers(store, mailbox, batch, _snapshot(mailbox, first.target_folder))
    if missing and not copied:
        seen = {identity.uid for identity in earlier}
        copied = count_off(missing, [i for i in newcomers if i.uid not in seen])
    proven = find_proven(store, batch, assign(batch, newcomers, copied), copied)
    verified = [move.source_uid for move in batch if move.id in proven]
    if verified:
        try:
            mailbox.expunge(source, first.source_uid_validity, verified)
        except CommandRefused as error:
            # What was copied is known all the same; whoever settles tries once more.
            log.warning("moves.not_expunged", moves=len(verified), error=str(error))
    return copied


def settle(
    store: Store,
    mailbox: Mailbox,
    account_name: str,
    batch: Sequence[Move],
    now: datetime,
    sent: _Sent,
) -> MoveReport:
    """Look where each message of one batch is, and record it.

    The looking is done before the write transaction begins. Where a folder was renumbered since
    the batch was planned, the numbers of the plans are renewed first.
    """
    view = _look(mailbox, batch)
    if not _follow(store, mailbox, account_name, batch, view, now):
        return _settle(store, mailbox, batch, view, now, sent)
    ids = {move.id for move in batch}
    report = MoveReport.empty()
    for part in _planned(store, account_name, ids):
        # COPYUID spoke of the old numbers.
        answer = _Sent(sent.refusal)
        report.add(_settle(store, mailbox, part, _look(mailbox, part), now, answer))
    return report


@dataclass(frozen=True, slots=True)
class _View:
    """What lies in source and target of a batch; None for a folder that is not there."""

    source: FolderSnapshot | None
    target: FolderSnapshot | None


def _look(mailbox: Mailbox, batch: Sequence[Move]) -> _View:
    first = batch[0]
    return _View(_snapshot(mailbox, first.source_folder), _snapshot(mailbox, first.target_folder))


def _snapshot(mailbox: Mailbox, folder: Folder) -> FolderSnapshot | None:
    try:
        return mailbox.snapshot(folder.name)
    except FolderMissing:
        return None


def _follow(
    store: Store,
    mailbox: Mailbox,
    account_name: str,
    batch: Sequence[Move],
    view: _View,
    now: datetime,
) -> bool:
    """Whether source or target has new numbers, which then are known."""
    first = batch[0]
    renumbered = [
        (folder, snapshot)
        for folder, uid_validity, snapshot in (
            (first.source_folder, first.source_uid_validity, view.source),
            (first.target_folder, first.target_uid_validity, view.target),
        )
        if snapshot is not None and snapshot.uid_validity != uid_validity
    ]
    for folder, snapshot in renumbered:
        follow(store, mailbox, account_name, folder, snapshot, now)
    return bool(renumbered)


def _settle(
    store: Store,
    mailbox: Mailbox,
    batch: Sequence[Move],
    view: _View,
    now: datetime,
    sent: _Sent,
) -> MoveReport:
    remaining = _still_in_source(view.source, batch)
    newcomers = find_newcomers(store, mailbox, batch, view.target)
    arrived = assign(batch, newcomers, sent.copied)
    doubled = _doubled(mailbox, [m for m in batch if m.id in arrived])
    proven = find_proven(store, doubled, arrived, sent.copied)
    if proven:
        _finish(mailbox, [move for move in doubled if move.id in proven])
    # An equal mail that reached the target by another way says nothing about this one.
    foreign = {m.id for m in doubled if m.id not in proven and m.source_uid in remaining}
    arrived = {key: found for key, found in arrived.items() if key not in foreign}
    arrived = give_way(store, mailbox, batch, arrived, newcomers, sent.copied)
    report = MoveReport.empty()
    with store.write() as work:
        for move in work.moves.by_ids([m.id for m in batch]):
            is_in_source = move.source_uid in remaining
            _record(
                work,
                move,
                arrived.get(move.id),
                in_source=is_in_source,
                refusal=sent.refusal,
                now=now,
            )
            (report.moved if move.state is MoveState.MOVED else report.failed).append(
                move.message_id
            )
        work.commit()
    return report


def _doubled(mailbox: Mailbox, arrived: Sequence[Move]) -> list[Move]:
    """Moves whose message exists in the source too, even if only flagged `\\Deleted`: that is
    how a process killed between STORE and UID EXPUNGE leaves it, and `snapshot` does not show
    it."""
    if not arrived:
        return []
    first = arrived[0]
    uids = [move.source_uid for move in arrived]
    try:
        there = mailbox.identify(first.source_folder.name, first.source_uid_validity, uids)
    except (FolderMissing, FolderChanged):
        return []
    found = {identity.uid for identity in there}
    return [move for move in arrived if move.source_uid in found]


def _finish(mailbox: Mailbox, doubled: Sequence[Move]) -> None:
    """A server killed in mid-MOVE leaves the message in both folders, and so does a COPY whose
    EXPUNGE did not come: the copy is verified, so what is left in the source may go.

    Where the server does not allow that, it stays; it is never sorted again.
    """
    source, uid_validity = doubled[0].source_folder.name, doubled[0].source_uid_validity
    try:
        mailbox.expunge(source, uid_validity, [move.source_uid for move in doubled])
    except (CapabilityMissing, CommandRefused, FolderMissing, FolderChanged) as error:
        log.warning("moves.left_in_both_folders", moves=len(doubled), error=str(error))


def _still_in_source(snapshot: FolderSnapshot | None, batch: Sequence[Move]) -> set[int]:
    """UIDs of the batch that still lie in the source folder."""
    if snapshot is None or snapshot.uid_validity != batch[0].source_uid_validity:
        return set()
    return {m.source_uid for m in batch} & set(snapshot.uids)


def _record(
    work: UnitOfWork,
    move: Move,
    arrived: MessageIdentity | None,
    *,
    in_source: bool,
    refusal: str | None,
    now: datetime,
) -> None:
    """Write down the outcome of one move, and where the message lies now."""
    move.finished_at = now
    if arrived is not None:
        move.target_uid = arrived.uid
        _place(work, move, now)
        carried_out(move)
    elif not in_source:
        move.state = MoveState.ELSEWHERE
        move.error = "somebody else moved or deleted it first"
        if move.kind is MoveKind.SORT:
            _conclude(move, Action.LEFT, move.error)
    elif refusal is None and work.moves.count_cancelled(move.message_id) + 1 < MAX_ATTEMPTS:
        move.state = MoveState.CANCELLED
        _take_back(work, move)
    else:
        move.state = MoveState.FAILED
        move.error = refusal or f"not moved by the server in {MAX_ATTEMPTS} attempts"
        if move.kind is MoveKind.SORT:
            _conclude(move, Action.LEFT, f"the server refused the move: {move.error}")


def carried_out(move: Move) -> None:
    """Write down that the move was made, perhaps after inboxd had taken it for refused."""
    move.state = MoveState.MOVED
    action = Action.MOVED if move.kind is MoveKind.SORT else Action.UNDONE
    _conclude(move, action, CARRIED_OUT_LATE if move.error is not None else None)
    move.error = None


def _conclude(move: Move, action: Action, reason: str | None) -> None:
    """Write the outcome into the decision from which the move followed."""
    if move.decision is not None:
        move.decision.action = action
        if reason is not None:
            move.decision.reason = reason


def _take_back(work: UnitOfWork, move: Move) -> None:
    """The move never happened: forget the decision, so that the mail is looked at again."""
    decision = move.decision
    if decision is not None and move.kind is MoveKind.SORT:
        move.decision = None
        work.flush()
        work.decisions.delete(decision)


def _place(work: UnitOfWork, move: Move, now: datetime) -> None:
    """The message left the source and lies in the target, by our own doing."""
    for placement in work.placements.of_message(move.message_id):
        if placement.folder_id == move.source_folder_id and placement.uid == move.source_uid:
            placement.gone_at = now
            placement.departure_explained = True
    assert move.target_uid is not None
    work.placements.add(
        Placement(
            message_id=move.message_id,
            folder_id=move.target_folder_id,
            uid_validity=move.target_uid_validity,
            uid=move.target_uid,
            arrived_at=now,
            arrived_by=ArrivedBy.INBOXD,
        )
    )
    work.flush()
