"""LIST responses to folders: own namespace, usable names, special uses."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog

from daemon.mailbox.port import FolderInfo, SpecialUse
from daemon.mailbox.wire import ListLine

_log = structlog.get_logger(__name__)

MAX_NAME = 1_000
"""Characters; Dovecot allows 255 on each level, others fewer."""

_SPECIAL_USES = {use.value.lower(): use for use in SpecialUse}
_NOT_SELECTABLE = frozenset({"\\noselect", "\\nonexistent"})
_FALLBACK_NAMES = {
    SpecialUse.TRASH: (
        "bin, deleted, deleted items, deleted messages, gelöscht, gelöschte elemente, "
        "gelöschte objekte, mülleimer, papierkorb, trash"
    ),
    SpecialUse.SENT: (
        "gesendet, gesendete elemente, gesendete objekte, sent, sent items, sent mail, "
        "sent messages"
    ),
    SpecialUse.DRAFTS: "draft, drafts, entwurf, entwürfe",
    SpecialUse.JUNK: (
        "bulk mail, junk, junk e-mail, junk email, junk-e-mail, spam, spamverdacht, unerwünscht"
    ),
    SpecialUse.ARCHIVE: "archiv, archive, archives",
}
# Exchange names its own folders once, in the language of the mailbox; the calendar's name tells
# which. "Sync Issues" has folders below it.
_WITHOUT_MAIL = {
    "calendar": (
        "calendar, contacts, conversation action settings, conversation history, journal, notes, "
        "outbox, quick step settings, rss feeds, rss subscriptions, suggested contacts, "
        "sync issues, tasks, yammer root"
    ),
    "kalender": (
        "aufgaben, aufgezeichnete unterhaltungen, journal, kalender, kontakte, notizen, "
        "postausgang, quickstep-einstellungen, rss-abonnements, rss-feeds, "
        "synchronisierungsprobleme, unterhaltungsverlauf, vorgeschlagene kontakte, yammer-stamm"
    ),
}
_FALLBACK_USES = {name: use for use, names in _FALLBACK_NAMES.items() for name in names.split(", ")}


def read_folders(
    lines: Iterable[ListLine], personal: Sequence[str], foreign: Sequence[str]
) -> list[FolderInfo]:
    """The folders in `lines` that belong to the account itself, sorted by name.

    `personal` and `foreign` are the namespace prefixes; both may be empty. Names that cannot
    be shown or sent back are left out with a log line that does not repeat them.
    """
    folders = []
    for line in lines:
        reason = _unusable(line)
        if reason:
            _log.warning("folder_skipped", reason=reason)
        elif line.name is not None and _is_own(line.name, personal, foreign):
            folders.append(_folder(line, line.name))
    return sorted(_with_fallback_uses(folders, personal), key=lambda folder: folder.name)


def without_mail(folders: Iterable[FolderInfo]) -> list[FolderInfo]:
    """The same folders, marked `holds_mail=False` where Exchange shows what is none: calendar,
    contacts, tasks, its own logs. All that lies below them is of the same kind."""
    found = list(folders)
    tops = {_top_level_name(folder, ()) for folder in found}
    names = {
        name
        for calendar, listed in _WITHOUT_MAIL.items()
        if calendar in tops
        for name in listed.split(", ")
    }
    return [replace(f, holds_mail=_first_name(f) not in names) for f in found]


def _first_name(folder: FolderInfo) -> str:
    """The folder's uppermost parent, or itself, case-folded."""
    first = folder.name.partition(folder.delimiter)[0] if folder.delimiter else folder.name
    return unicodedata.normalize("NFC", first).casefold()


def _unusable(line: ListLine) -> str:
    if line.name is None:
        return "name is not valid modified UTF-7"
    if not line.name:
        return "name is empty"
    if len(line.name) > MAX_NAME:
        return "name is too long"
    if any(unicodedata.category(char) == "Cc" for char in line.name):
        return "name holds control characters"
    return ""


def _is_own(name: str, personal: Sequence[str], foreign: Sequence[str]) -> bool:
    """The longest matching prefix decides: with "INBOX." and "" both may match."""
    if name.upper() == "INBOX" or not foreign:
        return True
    own = max((len(prefix) for prefix in personal if name.startswith(prefix)), default=-1)
    other = max((len(prefix) for prefix in foreign if name.startswith(prefix)), default=-1)
    return own >= other


def _folder(line: ListLine, name: str) -> FolderInfo:
    uses = [_SPECIAL_USES[flag] for flag in sorted(line.flags) if flag in _SPECIAL_USES]
    return FolderInfo(
        name=name,
        delimiter=line.delimiter,
        special_use=uses[0] if uses and name.upper() != "INBOX" else None,
        selectable=line.flags.isdisjoint(_NOT_SELECTABLE),
    )


def _with_fallback_uses(folders: Sequence[FolderInfo], personal: Sequence[str]) -> list[FolderInfo]:
    """Special uses by well-known names, for roles that the server gives to no folder.

    Only at the top of the account: "Projekte/Archiv" is a folder like any other.
    """
    announced = {folder.special_use for folder in folders}
    return [
        replace(folder, special_use=use)
        if folder.special_use is None
        and folder.selectable
        and (use := _FALLBACK_USES.get(_top_level_name(folder, personal)))
        and use not in announced
        else folder
        for folder in folders
    ]


def _top_level_name(folder: FolderInfo, personal: Sequence[str]) -> str:
    """The folder's name below namespace prefix or INBOX, case-folded; "" when it is nested."""
    name = folder.name
    inbox = f"INBOX{folder.delimiter}" if folder.delimiter else ""
    for prefix in sorted({*personal, inbox} - {""}, key=len, reverse=True):
        if name.upper().startswith(prefix.upper()):
            name = name[len(prefix) :]
            break
    if folder.delimiter and folder.delimiter in name:
        return ""
    # Servers mix precomposed and decomposed umlauts (macOS clients create the latter).
    return unicodedata.normalize("NFC", name).casefold()
