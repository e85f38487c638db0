"""Storing what was seen in a folder: who left, who arrived, and how far the look went."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from daemon.mailbox.port import FolderStatus, MessageIdentity
from daemon.sorting.looking import View
from daemon.sorting.threads import hash_message_id
from daemon.store import Store, UnitOfWork
from daemon.store.tables import Account, ArrivedBy, Folder, Message, Placement, Role

INVENTORY_CHUNK = 2000
"""New messages stored in one transaction of the first pass."""


def take_inventory(store: Store, account_name: str, view: View, now: datetime) -> None:
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


def apply_view(
    work: UnitOfWork, account: Account, view: View, now: datetime
) -> tuple[list[Placement], list[Placement]]:
    """Store what was seen in one folder; returns its departures and arrivals."""
    folder = work.folders.get(view.folder_id)
    departures = _enter(work, folder, view, now)
    arrivals = _place(work, account, folder, view.fresh, ArrivedBy.UNEXPLAINED, now)
    _remember_status(folder, view.status)
    return departures, arrivals


def _enter(work: UnitOfWork, folder: Folder, view: View, now: datetime) -> list[Placement]:
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


def _departures(work: UnitOfWork, folder: Folder, view: View, now: datetime) -> list[Placement]:
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
