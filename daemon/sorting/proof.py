"""Is what lies in the target the mail that was to be moved there?

An original goes only when what lies in the target is surely its copy: named by the server in
COPYUID, or beyond confusion with any other mail. A message too many is a nuisance, one too few
is a loss (docs/adr/0027).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from daemon.mailbox.port import FolderSnapshot, Mailbox, MessageIdentity
from daemon.store import Store, UnitOfWork
from daemon.store.tables import Move


def find_newcomers(
    store: Store, mailbox: Mailbox, batch: Sequence[Move], snapshot: FolderSnapshot | None
) -> list[MessageIdentity]:
    """What is new in the target folder since it was last looked at; what came since the moves of
    the batch were planned is part of that.

    Without what is already known as another message's: a twin must not be taken for the mail
    that is still on its way.
    """
    first = batch[0]
    if snapshot is None or snapshot.uid_validity != first.target_uid_validity:
        return []
    oldest = min(move.target_uid_next for move in batch)
    folder = first.target_folder
    if folder.uid_next is not None and folder.uid_validity == snapshot.uid_validity:
        oldest = min(oldest, folder.uid_next)
    with store.read() as work:
        known = set.union(
            *work.placements.known_uids(first.target_folder_id, snapshot.uid_validity, oldest)
        )
    new = [uid for uid in snapshot.uids if uid >= oldest and uid not in known]
    return mailbox.identify(first.target_folder.name, snapshot.uid_validity, new)


def assign(
    batch: Sequence[Move], newcomers: Sequence[MessageIdentity], copied: Mapping[int, int]
) -> Mapping[int, MessageIdentity]:
    """Which moves of the batch have arrived: move id → identity in the target folder.

    Each newcomer is given to one move only. Of twins that are both new, the UID that the server
    named in COPYUID decides, then INTERNALDATE, which MOVE and COPY keep.
    """
    found: dict[int, MessageIdentity] = {}
    free = list(newcomers)
    for move in batch:
        named, date = copied.get(move.source_uid), move.message.internal_date
        match = min(
            (i for i in free if _is_same(move, i)),
            key=lambda i: (i.uid != named, i.internal_date != date, i.uid),
            default=None,
        )
        if match is not None:
            free.remove(match)
            found[move.id] = match
    return found


def count_off(sent: Sequence[Move], new: Sequence[MessageIdentity]) -> Mapping[int, int]:
    """In place of COPYUID, after an OK without it: source to target UID where exactly as many
    equal messages are new in the target as were sent."""
    copied: dict[int, int] = {}
    for move in sent:
        equal = [i for i in new if _is_same(move, i)]
        alike = [other for other in sent if any(_is_same(other, i) for i in equal)]
        if equal and len(equal) == len(alike):
            copied[move.source_uid] = equal[alike.index(move)].uid
    return copied


def find_proven(
    store: Store,
    batch: Sequence[Move],
    arrived: Mapping[int, MessageIdentity],
    copied: Mapping[int, int],
) -> set[int]:
    """Ids of the moves whose message surely is what arrived, so that the original may go."""
    found = [move for move in batch if move.id in arrived]
    with store.read() as work:
        return {move.id for move in found if _is_proven(work, move, arrived[move.id], copied)}


def find_rivals(
    store: Store,
    batch: Sequence[Move],
    arrived: Mapping[int, MessageIdentity],
    newcomers: Sequence[MessageIdentity],
    copied: Mapping[int, int],
) -> dict[int, MessageIdentity]:
    """Moves that another client has made too, a moment earlier: move id → its copy in the target.

    Only where the server named the own copy in COPYUID, and the other is beyond confusion with
    any other mail: new, below the own one, the same identity, the same INTERNALDATE, no twin.
    It may have come before the move was planned, if the other client expunged the original only
    after it was moved.
    """
    own = {move.id: copied[move.source_uid] for move in batch if move.source_uid in copied}
    others = {found.uid for key, found in arrived.items() if own.get(key) == found.uid}
    free = [identity for identity in newcomers if identity.uid not in others]
    rivals: dict[int, MessageIdentity] = {}
    for move in batch:
        if move.id in arrived:
            equal = [i for i in free if i.uid < own.get(move.id, 0) and is_equal(move, i)]
            if equal:
                rivals[move.id] = min(equal, key=lambda i: i.uid)
                free.remove(rivals[move.id])
    with store.read() as work:
        return {
            move.id: rivals[move.id]
            for move in batch
            if move.id in rivals and _is_proven(work, move, rivals[move.id], {})
        }


def _is_proven(
    work: UnitOfWork, move: Move, identity: MessageIdentity, copied: Mapping[int, int]
) -> bool:
    """Whether the server named this very UID in COPYUID, or nothing else can have come there:
    the same identity, the same INTERNALDATE (RFC 3501, 6.4.7: COPY keeps it), and no twin."""
    if copied.get(move.source_uid) == identity.uid:
        return True
    if identity.internal_date != move.message.internal_date:
        return False
    return not work.placements.has_twin(move)


def is_equal(move: Move, identity: MessageIdentity) -> bool:
    """Whether this is the mail that the move is about, or a copy of it."""
    message = move.message
    if message.server_id is not None and identity.server_id is not None:
        return message.server_id == identity.server_id
    return message.fingerprint == identity.fingerprint


def _is_same(move: Move, identity: MessageIdentity) -> bool:
    """Whether this can be what the move has brought."""
    return identity.uid >= move.target_uid_next and is_equal(move, identity)
