"""A folder whose UIDs were given anew (another UIDVALIDITY): the same mail under other numbers.

A server does that after it lost an index, a restore from a backup, a move to other storage. What
is known of the folder is carried over in short transactions, since a folder may hold 50,000
messages and other accounts want to write too. Killed in between, the next pass goes on where
this one stopped: what was carried over is known under the new UIDVALIDITY.

Moves that are not settled, or that the server may yet carry out late, get the new numbers too:
else inboxd would look for the original and its copy where neither can be found any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from daemon.mailbox.port import FolderSnapshot, Mailbox, MessageIdentity
from daemon.sorting.link import Arrival, Departure, link
from daemon.store import Store, UnitOfWork
from daemon.store.tables import Account, Folder, Placement

CHUNK = 500
"""Messages carried over in one transaction: a fraction of a second."""


def follow(
    store: Store,
    mailbox: Mailbox,
    account_name: str,
    folder: Folder,
    snapshot: FolderSnapshot,
    now: datetime,
) -> None:
    """Carry over what is known of `folder`, whose numbers are new, ahead of the next observation.

    Raises `FolderChanged` when they have changed once more.
    """
    with store.read() as work:
        known = set.union(*work.placements.known_uids(folder.id, snapshot.uid_validity))
    unknown = [uid for uid in snapshot.uids if uid not in known]
    fresh = mailbox.identify(folder.name, snapshot.uid_validity, unknown)
    carry_over(store, account_name, folder, snapshot.uid_validity, fresh, now)


def carry_over(
    store: Store,
    account_name: str,
    folder: Folder,
    uid_validity: int,
    fresh: Sequence[MessageIdentity],
    now: datetime,
) -> tuple[MessageIdentity, ...]:
    """Give the placements of `folder` their new UIDs, where message and UID belong together
    beyond doubt; returns the messages that are left to be explained."""
    with store.read() as work:
        account = work.accounts.get(account_name)
        pairs = _pairs(work, account, folder, uid_validity, fresh) if account is not None else []
    for start in range(0, len(pairs), CHUNK):
        with store.write() as work:
            _renumber(work, folder, uid_validity, pairs[start : start + CHUNK], now)
            work.commit()
    with store.write() as work:
        work.moves.renumber_target(folder, uid_validity)
        work.commit()
    done = {identity.uid for _, identity in pairs}
    return tuple(identity for identity in fresh if identity.uid not in done)


def _pairs(
    work: UnitOfWork,
    account: Account,
    folder: Folder,
    uid_validity: int,
    fresh: Sequence[MessageIdentity],
) -> list[tuple[int, MessageIdentity]]:
    """Row ids of placements, with the message that each of them is."""
    # Under any UIDVALIDITY but the new one: the numbers may have changed twice since the last look.
    known = [p for p in work.placements.present_in(folder) if p.uid_validity != uid_validity]
    known_ids = work.messages.by_server_ids(
        account, [i.server_id for i in fresh if i.server_id is not None]
    )
    by_uid = {identity.uid: identity for identity in fresh}
    departures = [
        Departure(p.id, folder.id, p.message.server_id, p.message.fingerprint) for p in known
    ]
    arrivals = [
        Arrival(
            identity.uid,
            folder.id,
            identity.server_id,
            # See `Arrival`: of a message that was known before only its id may speak.
            None if identity.server_id in known_ids else identity.fingerprint,
        )
        for identity in fresh
    ]
    links = link(departures, arrivals).links
    return [(found.departure.key, by_uid[found.arrival.key]) for found in links]


def _renumber(
    work: UnitOfWork,
    folder: Folder,
    uid_validity: int,
    pairs: Sequence[tuple[int, MessageIdentity]],
    now: datetime,
) -> None:
    by_id = {p.id: p for p in work.placements.by_ids([key for key, _ in pairs])}
    for key, identity in pairs:
        old = by_id[key]
        old.gone_at = now
        old.departure_explained = True
        old.message.server_id = identity.server_id
        work.moves.renumber_source(old, uid_validity, identity.uid)
        work.placements.add(
            Placement(
                message_id=old.message_id,
                folder_id=folder.id,
                uid_validity=uid_validity,
                uid=identity.uid,
                arrived_at=old.arrived_at,
                arrived_by=old.arrived_by,
            )
        )
