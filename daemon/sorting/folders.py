"""Folder roles, and keeping the stored folders in step with the server's.

A folder keeps its row, and with it its label, through a rename. It is retired, not deleted,
when it disappears, and comes back to life when a folder of that name exists again.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from daemon.errors import FolderMissing
from daemon.mailbox.port import FolderInfo, Mailbox, SpecialUse
from daemon.store import UnitOfWork
from daemon.store.tables import Account, Folder, Placement, Role

UNWATCHED = frozenset({SpecialUse.ALL, SpecialUse.FLAGGED, SpecialUse.IMPORTANT, SpecialUse.DRAFTS})
"""Views of mail that lies elsewhere too, and drafts: moves into them mean nothing."""

RENAME_SAMPLE = 20
"""How many messages are compared before a folder counts as renamed."""

RENAME_SHARE = 0.9
"""The share of compared messages that must be found in the renamed folder."""


@dataclass(frozen=True, slots=True)
class FolderPatterns:
    """Which folders are what; patterns are shell patterns whose * also matches the delimiter."""

    inbox: str = "INBOX"
    labels: tuple[str, ...] = ("*",)
    neutral: tuple[str, ...] = ()

    def role(self, info: FolderInfo) -> Role | None:
        """The role of a folder; None for folders that are not even watched."""
        if not info.selectable or info.special_use in UNWATCHED:
            return None
        if _same_name(info.name, self.inbox):
            return Role.INBOX
        if info.special_use is not None or _matches(info.name, self.neutral):
            return Role.NEUTRAL
        return Role.LABEL if _matches(info.name, self.labels) else Role.NEUTRAL


def _same_name(name: str, other: str) -> bool:
    """Equal names; INBOX is the one name without case (RFC 3501, section 5.1)."""
    return name == other or (name.upper() == other.upper() == "INBOX")


def _matches(name: str, patterns: Iterable[str]) -> bool:
    plain = unicodedata.normalize("NFC", name)
    return any(fnmatchcase(plain, unicodedata.normalize("NFC", p)) for p in patterns)


@dataclass(frozen=True, slots=True)
class FolderChanges:
    """What `sync_folders` found; names for logs and notices."""

    appeared: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    disappeared: tuple[str, ...] = ()


def sync_folders(
    work: UnitOfWork,
    mailbox: Mailbox,
    account: Account,
    patterns: FolderPatterns,
    now: datetime,
) -> FolderChanges:
    """Bring the stored folders in line with LIST. Raises `FolderMissing` without an inbox."""
    roles = {
        info.name: role for info in mailbox.folders() if (role := patterns.role(info)) is not None
    }
    if Role.INBOX not in roles.values():
        raise FolderMissing(
            f"The inbox {patterns.inbox!r} does not exist on the server.",
            next_step="Set [accounts.NAME.folders] inbox to an existing folder; inboxd check "
            "lists them.",
        )
    known = {folder.name: folder for folder in work.folders.of(account)}
    new_names = [name for name in roles if name not in known]
    missing = [folder for name, folder in known.items() if name not in roles]
    renamed = _apply_renames(work, mailbox, missing, new_names)
    gone = [folder for folder in missing if folder not in {f for f, _ in renamed}]
    for folder in gone:
        _retire(work, folder, now)
    taken = {folder.name for folder, _ in renamed}
    appeared = [name for name in new_names if name not in taken]
    for name in appeared:
        _revive_or_add(work, account, name, roles[name])
    for folder in work.folders.of(account):
        folder.role = roles[folder.name]
    return FolderChanges(
        tuple(appeared),
        tuple((old, folder.name) for folder, old in renamed),
        tuple(folder.name for folder in gone),
    )


def _apply_renames(
    work: UnitOfWork, mailbox: Mailbox, missing: Sequence[Folder], new_names: Sequence[str]
) -> list[tuple[Folder, str]]:
    """Rename rows whose messages are found under a new name; returns (row, old name)."""
    renamed: list[tuple[Folder, str]] = []
    free = list(new_names)
    for folder in missing:
        if folder.uid_validity is None:
            continue
        present = work.placements.present_in(folder)
        found = [name for name in free if _is_renamed(mailbox, folder, present, name)]
        if len(found) == 1:
            renamed.append((folder, folder.name))
            folder.name = found[0]
            free.remove(found[0])
    return renamed


def _is_renamed(mailbox: Mailbox, folder: Folder, present: Sequence[Placement], name: str) -> bool:
    """Whether `name` is `folder` under a new name.

    Most servers keep UIDVALIDITY and UIDs through RENAME; Courier changes both, so there the
    messages themselves are compared. An empty folder is recognised by UIDVALIDITY and UIDNEXT
    alone.
    """
    status = mailbox.status(name)
    same_validity = status.uid_validity == folder.uid_validity
    if not present:
        return same_validity and status.uid_next == folder.uid_next
    if same_validity:
        sample = present[:: max(1, len(present) // RENAME_SAMPLE)]
        there = mailbox.identify(name, status.uid_validity, [p.uid for p in sample])
        known = {p.uid: p.message for p in sample}
        same = sum(identity.fingerprint == known[identity.uid].fingerprint for identity in there)
        return same >= RENAME_SHARE * len(sample)
    if status.messages < RENAME_SHARE * len(present):
        return False
    snapshot = mailbox.snapshot(name)
    there = mailbox.identify(name, snapshot.uid_validity, snapshot.uids)
    fingerprints = {identity.fingerprint for identity in there}
    same = sum(p.message.fingerprint in fingerprints for p in present)
    return same >= RENAME_SHARE * len(present)


def _retire(work: UnitOfWork, folder: Folder, now: datetime) -> None:
    """The folder is gone, and what lay in it is gone from there."""
    folder.retired_at = now
    for placement in work.placements.present_in(folder):
        placement.gone_at = now


def _revive_or_add(work: UnitOfWork, account: Account, name: str, role: Role) -> None:
    for folder in work.folders.of(account, retired=True):
        if folder.name == name:
            folder.retired_at = None
            folder.uid_validity = None
            folder.role = role
            return
    work.folders.add(Folder(account_id=account.id, name=name, role=role))
