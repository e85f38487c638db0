"""Explaining what was seen: moves by people, new mail, copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from daemon.sorting.lessons import Noticed, apply_ambiguity, apply_link
from daemon.sorting.link import Arrival, Departure, Linking, link
from daemon.sorting.mover import LATE_COPY
from daemon.store import UnitOfWork
from daemon.store.tables import Account, ArrivedBy, Message, MoveState, Placement, Role

LINK_WINDOW = timedelta(minutes=15)
"""How long an unexplained half of a move waits for its other half."""

OLDER_THAN_INVENTORY = timedelta(hours=1)
"""Mail that the server received so much earlier than the inventory was taken is not new. The
margin is for clocks that differ."""

UNKNOWN_DATE = datetime.fromtimestamp(0, UTC)
"""What stands in for an INTERNALDATE that cannot be read; it says nothing."""


@dataclass(slots=True)
class Explanation:
    """What the departures and arrivals of one pass meant."""

    noticed: list[Noticed] = field(default_factory=list)
    delivered: int = 0
    reopened: int = 0
    """Moves that the server began after inboxd had given them up."""


def explain(
    work: UnitOfWork,
    account: Account,
    departures: Sequence[Placement],
    arrivals: Sequence[Placement],
    now: datetime,
) -> Explanation:
    """Link the halves seen now with each other, then the rest with older halves."""
    result = Explanation()
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
    return result


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
    result: Explanation,
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
    work: UnitOfWork, account: Account, placement: Placement, result: Explanation
) -> None:
    """An arrival without a departure: new mail in the inbox, a copy made by a person, or one
    made late by a command of our own."""
    if _is_late_copy(work, account, placement):
        result.reopened += 1
        return
    message = placement.message
    if placement.folder.role is not Role.INBOX:
        if _doubles_our_move(work, account, placement):
            placement.arrived_by = ArrivedBy.INBOXD
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


def _doubles_our_move(work: UnitOfWork, account: Account, placement: Placement) -> bool:
    """Whether inboxd has put the same mail into the same folder: then another client did so in the
    same moment (docs/adr/0054), or a person copied it there, and neither says more than we knew."""
    message = placement.message
    alike = work.messages.by_fingerprints(account, [message.fingerprint])[message.fingerprint]
    same = [m for m in alike if m.id == message.id or m.internal_date == message.internal_date]
    return any(
        p.folder_id == placement.folder_id
        and p.id != placement.id
        and p.arrived_by is ArrivedBy.INBOXD
        for m in same
        for p in work.placements.of_message(m.id)
    )


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
