"""Folder roles, and keeping the stored folders in step with the server's.

A folder keeps its row, and with it its label, through a rename. It is retired, not deleted,
when it disappears, and comes back to life when a folder of that name exists again.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
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
        if not info.selectable or not info.holds_mail or info.special_use in UNWATCHED:
            return None
        if _same_name(info.name, self.inbox):
            return Role.INBOX
        if info.special_use is not None or _matches(info.name, self.neutral):
            return Role.NEUTRAL
        return Role.LABEL if _matches(info.name, self.labels) else Role.NEUTRAL


def _same_name(name: str, other: str) -> bool:
    """Equal names; INBOX is the one name without case (RFC 3501, section 5.1)."""
    return name == other or (name.upper() == other.upper() == "INBOX")


def composed(name: str) -> str:
    """A folder's name as it is compared: however its umlauts were composed (NFC)."""
    return unicodedata.normalize("NFC", name)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    plain = composed(name)
    return any(fnmatchcase(plain, composed(pattern)) for pattern in patterns)


@dataclass(frozen=True, slots=True)
class FolderChanges:
    """What `apply_folders` changed; names for logs and notices."""

    appeared: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    disappeared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FolderView:
    """The server's folders against the stored ones: `roles` by name, `renamed` folder ids with
    their new names, `gone` folder ids, names that `appeared`."""

    roles: Mapping[str, Role]
    renamed: Mapping[int, str]
    gone: frozenset[int]
    appeared: tuple[str, ...]


def look_at_folders(
    work: UnitOfWork, mailbox: Mailbox, account: Account | None, patterns: FolderPatterns
) -> FolderView:
    """Compare LIST with the stored folders; reads only. Raises `FolderMissing` without inbox."""
    roles = {
        info.name: role for info in mailbox.folders() if (role := patterns.role(info)) is not None
    }
    if Role.INBOX not in roles.values():
        raise FolderMissing(
            f"The inbox {patterns.inbox!r} does not exist on the server.",
            next_step="Set [accounts.NAME.folders] inbox to an existing folder; inboxd check "
            "lists them.",
        )
    stored = {f.name: f for f in work.folders.of(account)} if account is not None else {}
    new_names = [name for name in roles if name not in stored]
    missing = [folder for name, folder in stored.items() if name not in roles]
    renamed = _find_renames(work, mailbox, missing, new_names)
    return FolderView(
        roles=roles,
        renamed=renamed,
        gone=frozenset(f.id for f in missing if f.id not in renamed),
        appeared=tuple(name for name in new_names if name not in renamed.values()),
    )


def apply_folders(
    work: UnitOfWork, account: Account, view: FolderView, now: datetime
) -> FolderChanges:
    """Bring the stored folders in line with what was seen."""
    renamed = []
    gone = []
    for folder in work.folders.of(account):
        if folder.id in view.renamed:
            renamed.append((folder.name, view.renamed[folder.id]))
            folder.name = view.renamed[folder.id]
        elif folder.id in view.gone:
            gone.append(folder.name)
            _retire(work, folder, now)
    for name in view.appeared:
        _revive_or_add(work, account, name, view.roles[name])
    work.flush()
    for folder in work.folders.of(account):
        folder.role = view.roles[folder.name]
    return FolderChanges(view.appeared, tuple(renamed), tuple(gone))


def _find_renames(
    work: UnitOfWork, mailbox: Mailbox, missing: Sequence[Folder], new_names: Sequence[str]
) -> dict[int, str]:
    """Missing folders whose messages are found under exactly one new name."""
    renamed: dict[int, str] = {}
    free = list(new_names)
    for folder in missing:
        if folder.uid_validity is None:
            continue
        present = work.placements.present_in(folder)
        found = [name for name in free if _is_renamed(mailbox, folder, present, name)]
        if len(found) == 1:
            renamed[folder.id] = found[0]
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
