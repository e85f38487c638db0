"""Noticing what people did: by state, not by events.

One pass compares each folder's STATUS with the stored one, looks only into folders that
changed, and links what vanished with what arrived (`link`). A move that straddles the pass
shows one half now and the other in the next pass, so unexplained halves are kept for a while.
Our own moves never appear here: the mover records them with their new UIDs before the next
observation, under the account's lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import structlog

from daemon.errors import CommandRefused, FolderChanged, FolderMissing, MailboxError
from daemon.mailbox.port import FolderSnapshot, FolderStatus, Mailbox, MessageIdentity
from daemon.sorting.bursts import BurstLimits, learn_or_hold
from daemon.sorting.folders import (
    FolderChanges,
    FolderPatterns,
    apply_folders,
    look_at_folders,
)
from daemon.sorting.lessons import Noticed, apply_ambiguity, apply_link
from daemon.sorting.link import Arrival, Departure, Linking, link
from daemon.sorting.mover import LATE_COPY
from daemon.sorting.renumber import carry_over
from daemon.sorting.threads import hash_message_id
from daemon.store import Store, UnitOfWork
from daemon.store.tables import (
    Account,
    ArrivedBy,
    Folder,
    Message,
    MoveState,
    Placement,
    Role,
)

log = structlog.get_logger(__name__)

LINK_WINDOW = timedelta(minutes=15)
"""How long an unexplained half of a move waits for its other half."""

OLDER_THAN_INVENTORY = timedelta(hours=1)
"""Mail that the server received so much earlier than the inventory was taken is not new. The
margin is for clocks that differ."""

UNKNOWN_DATE = datetime.fromtimestamp(0, UTC)
"""What stands in for an INTERNALDATE that cannot be read; it says nothing."""

INVENTORY_CHUNK = 2000
"""New messages stored in one transaction of the first pass."""


@dataclass(slots=True)
class Observation:
    """What one pass found."""

    changes: FolderChanges = field(default_factory=FolderChanges)
    noticed: list[Noticed] = field(default_factory=list)
    scanned: int = 0
    delivered: int = 0
    taken_back: int = 0
    """Lessons of earlier passes that turned out to belong to a burst."""
    reopened: int = 0
    """Moves that the server began after inboxd had given them up: `reconcile` finishes them."""

    @property
    def lessons(self) -> int:
        """How many moves by people taught something."""
        return sum(each.kind.teaches and not each.held for each in self.noticed)

    @property
    def held(self) -> int:
        """How many moves by people would teach something, once they are confirmed."""
        return sum(each.held for each in self.noticed)

    def hold(self, work: UnitOfWork, account: Account, limits: BurstLimits, now: datetime) -> None:
        """Learn from what was noticed, or hold it back; see `bursts`."""
        outcome = learn_or_hold(work, account, limits, now)
        self.noticed = [
            replace(each, held=each.kind.teaches and each.message_id in outcome.held)
            for each in self.noticed
        ]
        self.taken_back = outcome.taken_back


def observe(
    store: Store,
    mailbox: Mailbox,
    account_name: str,
    patterns: FolderPatterns,
    now: datetime,
    limits: BurstLimits | None = None,
) -> Observation:
    """One pass over all folders of an account; commits what it finds.

    The first pass of an account takes the inventory (one commit per folder, so that a killed
    process goes on where it stopped) and draws no conclusions. The server is only asked
    outside of write transactions: a slow server must not keep other accounts waiting.
    """
    result = Observation()
    with store.read() as work:
        account = work.accounts.get(account_name)
        folder_view = look_at_folders(work, mailbox, account, patterns)
    with store.write() as work:
        account = work.accounts.get_or_create(account_name, now)
        result.changes = apply_folders(work, account, folder_view, now)
        work.commit()
        is_baseline = account.baseline_at is None
        folders = work.folders.of(account)
    views: list[_View] = []
    statuses = mailbox.statuses([folder.name for folder in folders])
    for folder in folders:
        status = statuses[folder.name]
        view = _look_if_possible(store, mailbox, folder, status, is_baseline=is_baseline)
        if view is None:
            continue
        result.scanned += 1
        if is_baseline:
            _take_inventory(store, account_name, view, now)
            continue
        if folder.uid_validity not in {None, view.snapshot.uid_validity}:
            rest = carry_over(
                store, account_name, folder, view.snapshot.uid_validity, view.fresh, now
            )
            view = replace(view, fresh=rest)
        views.append(view)
    with store.write() as work:
        account = work.accounts.get_or_create(account_name, now)
        if is_baseline:
            account.baseline_at = now
        elif account.restored_at is not None:
            _take_as_it_is(work, account, views, now)
        else:
            _draw_conclusions(work, account, views, result, now)
            result.hold(work, account, limits or BurstLimits(), now)
        account.restored_at = None
        work.commit()
    return result


@dataclass(frozen=True, slots=True)
class _View:
    """What the server says of one folder in which something came or went."""

    folder_id: int
    status: FolderStatus
    snapshot: FolderSnapshot
    watch_from_uid: int
    fresh: tuple[MessageIdentity, ...]
    vanished: frozenset[int]
    """UIDs stored as present, under the UIDVALIDITY that is in force, that are not there."""
    returned: frozenset[int]
    """UIDs stored as gone, under that UIDVALIDITY, that are there again."""


def _look_if_possible(
    store: Store,
    mailbox: Mailbox,
    folder: Folder,
    status: FolderStatus | MailboxError,
    *,
    is_baseline: bool,
) -> _View | None:
    """As `_look`. A folder that may not be opened (an ACL), or that has vanished since LIST,
    is left to a later pass; only without the inbox there is no point in going on."""
    try:
        if isinstance(status, MailboxError):
            raise status
        return _look(store, mailbox, folder, status, is_baseline=is_baseline)
    except (CommandRefused, FolderChanged, FolderMissing) as error:
        if folder.role is Role.INBOX:
            raise
        log.warning("observe.folder_left_out", folder=folder.id, error=type(error).__name__)
        return None


def _look(
    store: Store, mailbox: Mailbox, folder: Folder, status: FolderStatus, *, is_baseline: bool
) -> _View | None:
    """Compare one folder with what is stored of it; None when nothing came or went."""
    if not _changed(folder, status):
        return None
    watch_from = folder.watch_from_uid
    if folder.uid_validity is None and is_baseline and folder.role is Role.NEUTRAL:
        # An archive may hold a lifetime of mail: only what comes from now on is of interest.
        watch_from = status.uid_next
    snapshot = mailbox.snapshot(folder.name)
    if folder.uid_validity not in {None, snapshot.uid_validity}:
        watch_from = 1
    # Under the UIDVALIDITY that is in force now, whichever was before: a folder may have been
    # gone for a while, or its server restored from a backup.
    # Compared once, as a folder may hold a hundred thousand mails; whoever else could store
    # something of this account waits for its lock.
    with store.read() as work:
        present, gone = work.placements.known_uids(folder.id, snapshot.uid_validity)
    there = set(snapshot.uids)
    unknown = sorted(uid for uid in there - present - gone if uid >= watch_from)
    fresh = mailbox.identify(folder.name, snapshot.uid_validity, unknown) if unknown else []
    return _View(
        folder.id,
        status,
        snapshot,
        watch_from,
        tuple(fresh),
        vanished=frozenset(present - there),
        returned=frozenset(gone & there),
    )


def _changed(folder: Folder, status: FolderStatus) -> bool:
    """UIDNEXT and MESSAGES tell of every arrival and expunge, HIGHESTMODSEQ of `\\Deleted`."""
    known = (folder.uid_validity, folder.uid_next, folder.messages, folder.highest_modseq)
    return known != (
        status.uid_validity,
        status.uid_next,
        status.messages,
        status.highest_modseq,
    )


def _take_inventory(store: Store, account_name: str, view: _View, now: datetime) -> None:
    """Store a folder for the first time, in short transactions: a killed process goes on where
    it stopped, and other accounts can write in between."""
    starts = range(0, max(len(view.fresh), 1), INVENTORY_CHUNK)
    for start in starts:
        with store.write() as work:
            account = work.accounts.get_or_create(account_name, now)
            folder = work.folders.get(view.folder_id)
            if start == starts[0]:
                _enter(work, folder, view, now)
            some = view.fresh[start : start + INVENTORY_CHUNK]
            _place(work, account, folder, some, ArrivedBy.BASELINE, now)
            if start == starts[-1]:
                _remember_status(folder, view.status)
            work.commit()


def _draw_conclusions(
    work: UnitOfWork,
    account: Account,
    views: Sequence[_View],
    result: Observation,
    now: datetime,
) -> None:
    departures: list[Placement] = []
    arrivals: list[Placement] = []
    for view in views:
        gone, new = _apply_view(work, account, view, now)
        departures += gone
        arrivals += new
    _explain(work, account, departures, arrivals, result, now)


def _take_as_it_is(
    work: UnitOfWork, account: Account, views: Sequence[_View], now: datetime
) -> None:
    """The first look after a restore: whatever came or went since the backup may have been moved
    by a person or by the inboxd of then, whose records are lost. So nothing is learned from it,
    and what lies new in the inbox may have been put back there: it stays. See docs/adr/0045."""
    found = 0
    for view in views:
        departures, arrivals = _apply_view(work, account, view, now)
        for placement in departures:
            placement.departure_explained = True
        for placement in arrivals:
            if placement.folder.role is Role.INBOX:
                placement.arrived_by = ArrivedBy.DELIVERY
                placement.message.kept = True
            else:
                # Counts as its own move, of which it learns nothing until a person confirms it.
                placement.arrived_by = ArrivedBy.INBOXD
        found += len(arrivals)
    log.info("observe.after_restore", account=account.name, arrivals=found)


def _apply_view(
    work: UnitOfWork, account: Account, view: _View, now: datetime
) -> tuple[list[Placement], list[Placement]]:
    """Store what was seen in one folder; returns its departures and arrivals."""
    folder = work.folders.get(view.folder_id)
    departures = _enter(work, folder, view, now)
    arrivals = _place(work, account, folder, view.fresh, ArrivedBy.UNEXPLAINED, now)
    _remember_status(folder, view.status)
    return departures, arrivals


def _enter(work: UnitOfWork, folder: Folder, view: _View, now: datetime) -> list[Placement]:
    """Everything but what is new: returns what is gone."""
    departures = _departures(work, folder, view, now)
    folder.uid_validity = view.snapshot.uid_validity
    folder.watch_from_uid = view.watch_from_uid
    work.flush()
    # A UID that had gone and is there again (`\\Deleted` taken off) is no news.
    for placement in work.placements.at(folder, folder.uid_validity, sorted(view.returned)):
        placement.gone_at = None
    return departures


def _remember_status(folder: Folder, status: FolderStatus) -> None:
    """Only when all is stored: as long as it differs, the folder is looked at again."""
    folder.uid_next = status.uid_next
    folder.messages = status.messages
    folder.highest_modseq = status.highest_modseq


def _departures(work: UnitOfWork, folder: Folder, view: _View, now: datetime) -> list[Placement]:
    """What is no longer there; after a change of UIDVALIDITY all that was not carried over."""
    snapshot = view.snapshot
    if folder.uid_validity is None:
        return []
    if snapshot.uid_validity == folder.uid_validity:
        gone = work.placements.at(folder, folder.uid_validity, sorted(view.vanished))
    else:
        there = set(snapshot.uids)
        gone = [
            placement
            for placement in work.placements.present_in(folder)
            if placement.uid_validity != snapshot.uid_validity or placement.uid not in there
        ]
    for placement in gone:
        placement.gone_at = now
        placement.departure_explained = False
    return gone


def _place(
    work: UnitOfWork,
    account: Account,
    folder: Folder,
    identities: Sequence[MessageIdentity],
    arrived_by: ArrivedBy,
    now: datetime,
) -> list[Placement]:
    by_id = work.messages.by_server_ids(
        account, [i.server_id for i in identities if i.server_id is not None]
    )
    hashes = {hash_message_id(each.message_id) for each in identities if each.message_id}
    notices = work.notices.ours(account, hashes)
    placements = []
    for identity in identities:
        message = by_id.get(identity.server_id) if identity.server_id is not None else None
        if message is None:
            message = _new_message(account, identity, now)
            message.is_notice = message.message_id_hash in notices
            work.messages.add(message)
            if identity.server_id is not None:
                by_id[identity.server_id] = message
        placement = Placement(
            message=message,
            folder=folder,
            uid_validity=folder.uid_validity,
            uid=identity.uid,
            arrived_at=now,
            arrived_by=arrived_by,
        )
        if identity.labelled and folder.role is Role.INBOX:
            # Gmail: a filter or a person has said where it belongs, and left it in the inbox.
            message.kept = True
        work.placements.add(placement)
        placements.append(placement)
    work.flush()
    return placements


def _new_message(account: Account, identity: MessageIdentity, now: datetime) -> Message:
    return Message(
        account_id=account.id,
        server_id=identity.server_id,
        fingerprint=identity.fingerprint,
        message_id_hash=hash_message_id(identity.message_id) if identity.message_id else "",
        reference_hashes=[hash_message_id(r) for r in identity.references],
        internal_date=identity.internal_date,
        size=identity.size,
        first_seen_at=now,
    )


def _explain(
    work: UnitOfWork,
    account: Account,
    departures: Sequence[Placement],
    arrivals: Sequence[Placement],
    result: Observation,
    now: datetime,
) -> None:
    """Link the halves seen now with each other, then the rest with older halves."""
    by_key = {p.id: p for p in (*departures, *arrivals)}
    _apply(work, account, _link(departures, arrivals), by_key, result, now)
    since = now - LINK_WINDOW
    waiting = work.placements.unexplained_departures(account, since)
    unexplained = work.placements.unexplained_arrivals(account, since)
    by_key.update({p.id: p for p in (*waiting, *unexplained)})
    _apply(work, account, _link(waiting, unexplained), by_key, result, now)
    for placement in arrivals:
        if placement.arrived_by is ArrivedBy.UNEXPLAINED:
            _judge_unlinked(work, account, placement, result)


def _link(departures: Iterable[Placement], arrivals: Iterable[Placement]) -> Linking:
    return link(
        [
            Departure(p.id, p.folder_id, p.message.server_id, p.message.fingerprint)
            for p in departures
        ],
        [_arrival(p) for p in arrivals],
    )


def _arrival(placement: Placement) -> Arrival:
    """For linking; a message that was known before is no newcomer, see `Arrival`."""
    message = placement.message
    is_newcomer = message.first_seen_at == placement.arrived_at
    fingerprint = message.fingerprint if is_newcomer else None
    return Arrival(placement.id, placement.folder_id, message.server_id, fingerprint)


def _apply(
    work: UnitOfWork,
    account: Account,
    linking: Linking,
    by_key: dict[int, Placement],
    result: Observation,
    now: datetime,
) -> None:
    for found in linking.links:
        source, target = by_key[found.departure.key], by_key[found.arrival.key]
        noticed = apply_link(work, account, source, target, found.by, now)
        if noticed is not None:
            result.noticed.append(noticed)
    for case in linking.ambiguous:
        sources = [by_key[d.key] for d in case.departures]
        targets = [by_key[a.key] for a in case.arrivals]
        result.noticed += apply_ambiguity(work, account, sources, targets, case.by, now)
    work.flush()


def _judge_unlinked(
    work: UnitOfWork, account: Account, placement: Placement, result: Observation
) -> None:
    """An arrival without a departure: new mail in the inbox, a copy made by a person, or one
    made late by a command of our own."""
    if _is_late_copy(work, account, placement):
        result.reopened += 1
        return
    message = placement.message
    if placement.folder.role is not Role.INBOX:
        if placement.folder.role is Role.LABEL and _lies_in_inbox(work, message):
            # A person said where it belongs (a label in Gmail, a copy elsewhere), but not that it
            # should leave the inbox.
            message.kept = True
        return
    if message.is_notice:
        placement.arrived_by = ArrivedBy.INBOXD
        return
    elsewhere = [
        p for p in work.placements.of_message(message.id, present=False) if p.id != placement.id
    ]
    twins = [
        m
        for m in work.messages.by_fingerprints(account, [message.fingerprint])[message.fingerprint]
        if m.id != message.id and _was_dealt_with(work, m)
    ]
    if elsewhere or twins or _is_older_than_inventory(account, message):
        # A person copied, uploaded or took it out of an archive; what people decide, stays.
        message.kept = True
        return
    placement.arrived_by = ArrivedBy.DELIVERY
    result.delivered += 1


def _lies_in_inbox(work: UnitOfWork, message: Message) -> bool:
    return any(p.folder.role is Role.INBOX for p in work.placements.of_message(message.id))


def _is_older_than_inventory(account: Account, message: Message) -> bool:
    """Whether the server had the mail (INTERNALDATE, RFC 3501, 2.3.3) before inboxd took the
    inventory: then it lay in a folder whose old mail is not watched, and a person fetched it."""
    if account.baseline_at is None or message.internal_date <= UNKNOWN_DATE:
        return False
    return message.internal_date < account.baseline_at - OLDER_THAN_INVENTORY


def _is_late_copy(work: UnitOfWork, account: Account, placement: Placement) -> bool:
    """Whether a COPY that was given up has been carried out after all: the copy is here, and the
    original where it was. The plan is opened again, so that the move is finished; the arrival is
    forgotten until then."""
    message = placement.message
    equal = work.messages.by_fingerprints(account, [message.fingerprint])[message.fingerprint]
    since = placement.arrived_at - LATE_COPY
    for known in equal:
        move = work.moves.outstanding(known.id, placement.folder_id, since)
        if (
            move is None
            or move.target_uid_validity != placement.uid_validity
            or placement.uid < move.target_uid_next
            or known.server_id != message.server_id
            or known.internal_date != message.internal_date
        ):
            continue
        source = work.placements.at(move.source_folder, move.source_uid_validity, [move.source_uid])
        if not any(each.gone_at is None for each in source):
            continue
        move.state = MoveState.PLANNED
        work.placements.forget(placement)
        work.flush()
        if known.id != message.id:
            work.messages.delete(message)
            work.flush()
        return True
    return False


def _was_dealt_with(work: UnitOfWork, message: Message) -> bool:
    """Whether inboxd or a person has already decided where this message belongs."""
    return (
        message.kept
        or work.decisions.of_message(message.id) is not None
        or any(
            p.folder.role is not Role.INBOX
            for p in work.placements.of_message(message.id, present=False)
        )
    )
