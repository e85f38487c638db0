"""Looking into a folder: what came and what went since the last look. Stores nothing."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from daemon.errors import CommandRefused, FolderChanged, FolderMissing, MailboxError
from daemon.mailbox.port import FolderSnapshot, FolderStatus, Mailbox, MessageIdentity
from daemon.store import Store
from daemon.store.tables import Folder, Role

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class View:
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


def look_if_possible(
    store: Store,
    mailbox: Mailbox,
    folder: Folder,
    status: FolderStatus | MailboxError,
    *,
    is_baseline: bool,
) -> View | None:
    """What came and went in a folder; None when nothing did. A folder that may not be opened (an
    ACL), or that has vanished since LIST, is left to a later pass; only without the inbox there
    is no point in going on."""
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
) -> View | None:
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
    return View(
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
