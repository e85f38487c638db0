"""Deciding about one mail: from a verdict of the model or a ruling of the rules to what is done.

Asks nobody, changes nothing: everything that it needs is given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.config.settings import Mode
from daemon.sorting.folders import composed
from daemon.sorting.judge import Verdict
from daemon.sorting.rules import Ruling
from daemon.store.tables import Account, Action, Decision, Folder, Placement, Role

UNREADABLE = "It could not be read, and is left in the inbox."

KEEP_RANKED = 5
"""How many of the probable folders are stored with a decision."""


@dataclass(frozen=True, slots=True)
class KnownFolders:
    """The account's folders by id and by name; `trash` holds names of what rules must not fill."""

    by_id: Mapping[int, Folder]
    trash: Collection[str] = ()

    @classmethod
    def of(cls, folders: Sequence[Folder], trash: Collection[str] = ()) -> KnownFolders:
        """By their row ids."""
        return cls({folder.id: folder for folder in folders}, trash)

    def named(self, name: str) -> Folder | None:
        """The folder that a rule means, however its umlauts are composed."""
        plain = composed(name)
        same = (f for f in self.by_id.values() if composed(f.name) == plain)
        return next(same, None)

    def meant_by(self, word: Verdict | Ruling) -> Folder | None:
        """The folder into which a mail would go; None: it stays, or nobody knows the folder."""
        if isinstance(word, Ruling):
            return self.named(word.folder) if word.folder is not None else None
        return self.by_id.get(word.folder_id) if word.moves and word.folder_id else None

    def targets(self, words: Iterable[Verdict | Ruling]) -> list[Folder]:
        """All folders into which mail would go."""
        found = {folder.id: folder for word in words if (folder := self.meant_by(word))}
        return list(found.values())


def decide_by_model(
    account: Account,
    placement: Placement,
    verdict: Verdict,
    folders: KnownFolders,
    model_version: str,
    mode: Mode,
    suspended: Mapping[int, str],
    now: datetime,
) -> Decision:
    """What the model decided."""
    known = folders.by_id
    folder = known.get(verdict.folder_id) if verdict.folder_id is not None else None
    action, reason = _action(verdict, folder, mode, suspended)
    names = [
        (known[key].name if key is not None and key in known else placement.folder.name, p)
        for key, p in verdict.ranked[:KEEP_RANKED]
    ]
    return Decision(
        account_id=account.id,
        message=placement.message,
        folder=folder,
        probability=verdict.probability,
        threshold=verdict.threshold,
        ranked=names,
        action=action,
        reason=reason,
        model_version=model_version,
        decided_at=now,
    )


def decide_by_rule(
    account: Account,
    placement: Placement,
    ruling: Ruling,
    folders: KnownFolders,
    mode: Mode,
    now: datetime,
) -> Decision:
    """What a rule decided; the model was not asked."""
    folder = folders.meant_by(ruling)
    action, reason = _ruled_action(ruling, folder, folders.trash, mode)
    return Decision(
        account_id=account.id,
        message=placement.message,
        folder=folder,
        probability=None,
        threshold=None,
        ranked=[],
        action=action,
        reason=reason,
        rule=ruling.rule,
        model_version=None,
        decided_at=now,
    )


def decide_unread(
    account: Account, placement: Placement, model_version: str, now: datetime
) -> Decision:
    """What is decided of mail that was tried often enough: it stays, unread."""
    return Decision(
        account_id=account.id,
        message=placement.message,
        folder=None,
        probability=None,
        threshold=None,
        ranked=[],
        action=Action.UNREADABLE,
        reason=UNREADABLE,
        model_version=model_version,
        decided_at=now,
    )


def _ruled_action(
    ruling: Ruling, folder: Folder | None, trash: Collection[str], mode: Mode
) -> tuple[Action, str]:
    """What to do about a ruling, and why."""
    if ruling.folder is None:
        return Action.LEFT, ruling.reason
    if folder is None:
        return Action.LEFT, f"{ruling.reason} There is no such folder, so the mail stays."
    if folder.role is Role.INBOX:
        return Action.LEFT, f"{ruling.reason} It is there already."
    if folder.name in trash:
        return Action.LEFT, f"{ruling.reason} That is the trash, and inboxd deletes no mail."
    return _in_mode(mode, ruling.reason)


def _action(
    verdict: Verdict, folder: Folder | None, mode: Mode, suspended: Mapping[int, str]
) -> tuple[Action, str]:
    """What to do about a verdict, and why."""
    if not verdict.moves:
        return Action.LEFT, verdict.reason
    if folder is None or folder.role is not Role.LABEL:
        return Action.LEFT, "The folder is no longer a label folder."
    if mode is Mode.SORT and folder.id in suspended:
        return Action.SUGGESTED, f"{verdict.reason} {suspended[folder.id]}"
    return _in_mode(mode, verdict.reason)


def _in_mode(mode: Mode, reason: str) -> tuple[Action, str]:
    """What becomes of a wish to move."""
    if mode is Mode.OBSERVE:
        return Action.OBSERVED, f"{reason} Mode observe only records."
    if mode is Mode.SUGGEST:
        return Action.SUGGESTED, f"{reason} Mode suggest moves nothing."
    return Action.PLANNED, reason
