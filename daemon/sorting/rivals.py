"""Two clients that move the same mail in the same moment may both succeed.

MOVE is no lock: Dovecot and Cyrus let two sessions copy the same message before either of them
expunges it, and answer both with OK and a COPYUID of their own (RFC 6851, 3.3, speaks of what one
session does). The mail then lies in the target twice. COPY, STORE and UID EXPUNGE leave more time
still; a copy that is made between the other's STORE and EXPUNGE carries `\\Deleted`. The other
client may be a second machine with inboxd or a filter of the mail program.

Of two equal newcomers the one with the lower UID stays. UIDs only grow, so that whoever has the
higher one surely sees the other, everybody agrees on which one stays, and each takes back only
what the server named as its own (docs/adr/0054).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from daemon.errors import CapabilityMissing, CommandRefused, FolderChanged, FolderMissing
from daemon.mailbox.port import Mailbox, MessageIdentity
from daemon.sorting.proof import find_rivals, is_equal
from daemon.store import Store
from daemon.store.tables import Move

log = structlog.get_logger(__name__)


def give_way(
    store: Store,
    mailbox: Mailbox,
    batch: Sequence[Move],
    arrived: Mapping[int, MessageIdentity],
    newcomers: Sequence[MessageIdentity],
    copied: Mapping[int, int],
) -> Mapping[int, MessageIdentity]:
    """Take the own copy back where another client's lies below it in the target.

    Returns `arrived` (move id to identity) with what lies there now. Where the server refuses,
    both stay. Raises `MailboxUnreachable`.
    """
    if mailbox.capabilities.labels:
        # A folder there holds a mail once: "expunging" one of two numbers would hide it.
        return arrived
    rivals = find_rivals(store, batch, arrived, newcomers, copied)
    if not rivals:
        return arrived
    doubled = [move for move in batch if move.id in rivals]
    try:
        doubled = _take_back(mailbox, doubled, rivals, copied)
    except (CapabilityMissing, CommandRefused, FolderMissing, FolderChanged) as error:
        log.warning("moves.doubled_by_another_client", moves=len(doubled), error=str(error))
        return arrived
    if doubled:
        log.info("moves.gave_way_to_another_client", moves=len(doubled))
    return {**arrived, **{move.id: rivals[move.id] for move in doubled}}


def _take_back(
    mailbox: Mailbox,
    doubled: Sequence[Move],
    rivals: Mapping[int, MessageIdentity],
    copied: Mapping[int, int],
) -> list[Move]:
    """Expunge the own copies of these; returns those of which both copies were there.

    Looked at once more: nothing goes for what has gone itself meanwhile or is about to
    (`\\Deleted`, which a snapshot does not show), and nothing that a server names in COPYUID
    without being that mail. The own copy may carry `\\Deleted`; it goes all the same.
    """
    first = doubled[0]
    folder, uid_validity = first.target_folder.name, first.target_uid_validity
    own = {move.id: copied[move.source_uid] for move in doubled}
    named = {each.uid: each for each in mailbox.identify(folder, uid_validity, own.values())}
    snapshot = mailbox.snapshot(folder)
    staying = set(snapshot.uids) if snapshot.uid_validity == uid_validity else set()
    both = [
        move
        for move in doubled
        if rivals[move.id].uid in staying
        and own[move.id] in named
        and is_equal(move, named[own[move.id]])
    ]
    mailbox.expunge(folder, uid_validity, [own[move.id] for move in both])
    return both
