"""Learn what people's moves teach, or hold it back when they come in a burst.

A burst is seldom a person who judges mail: it is a client's rule gone wrong, a migration, a
mailbox in somebody else's hands. Learning from it would spoil the model in one pass, so such
lessons wait until a person confirms them (`inboxd held`). Only the learning waits. Everything
else that follows from a move (never move it again, what `why` says) holds at once.

Both limits look back one hour, because a client needs many passes for a thousand moves. When a
limit is reached, what was learned from the same burst before is taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.store import UnitOfWork
from daemon.store.tables import (
    Account,
    Correction,
    CorrectionKind,
    Example,
    Folder,
    Hold,
    HoldReason,
    Role,
)

WINDOW = timedelta(hours=1)
"""Moves within this time belong to one burst."""

SMALL_FOLDER = 20
"""Fewer moves than this out of one folder are no burst, whatever share of it they are."""

SOURCES = {
    CorrectionKind.FILED: "moved",
    CorrectionKind.RELABELLED: "moved",
    CorrectionKind.PUT_BACK: "put-back",
}
"""Under which source (`trainer.examples.Source`) each kind becomes an example."""


@dataclass(frozen=True, slots=True)
class BurstLimits:
    """From when on lessons are held: more than `moves_per_hour` of them, or at least the share
    `folder_share` of the mail of one label folder. 0 turns a limit off."""

    moves_per_hour: int = 100
    folder_share: float = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """Messages whose lessons of this pass are held, and how many earlier lessons were taken
    back."""

    held: frozenset[int] = frozenset()
    taken_back: int = 0


def learn_or_hold(
    work: UnitOfWork, account: Account, limits: BurstLimits, now: datetime
) -> Outcome:
    """Make examples of the moves noticed at `now`, unless they belong to a burst."""
    recent = work.corrections.lessons_since(account, now - WINDOW)
    reasons = _reasons(work, recent, limits)
    fresh = [each for each in recent if each.noticed_at == now and each.hold is None]
    # A person's newest word about a mail ends the waiting of the older ones.
    supersede(work, fresh)
    for each in fresh:
        if each.id in reasons:
            each.hold, each.hold_reason = Hold.HELD, reasons[each.id]
        else:
            teach(work, account, each)
    taken_back = 0
    for each in recent:
        if each.id in reasons and each.hold is None and _take_back(work, account, each):
            each.hold, each.hold_reason = Hold.HELD, reasons[each.id]
            taken_back += 1
    work.flush()
    return Outcome(frozenset(e.message_id for e in fresh if e.id in reasons), taken_back)


def teach(work: UnitOfWork, account: Account, correction: Correction) -> None:
    """What this move says becomes the example of its mail."""
    is_put_back = correction.kind is CorrectionKind.PUT_BACK
    label = None if is_put_back else work.folders.get(correction.to_folder_id)
    source = SOURCES[correction.kind]
    work.examples.teach(account, correction.message_id, label, source, correction.noticed_at)


def supersede(work: UnitOfWork, newer: Sequence[Correction]) -> None:
    """Older lessons about the same mails that were never learned count no more."""
    ids = {each.id for each in newer}
    for older in work.corrections.not_learned(each.message_id for each in newer):
        if older.id not in ids:
            older.hold = Hold.SUPERSEDED


def _reasons(
    work: UnitOfWork, recent: Sequence[Correction], limits: BurstLimits
) -> dict[int, HoldReason]:
    """Correction ids to hold, each with the limit that it belongs to."""
    if limits.moves_per_hour and len(recent) > limits.moves_per_hour:
        return dict.fromkeys((each.id for each in recent), HoldReason.MANY)
    by_source: dict[int, list[Correction]] = {}
    for each in recent:
        if each.from_folder.role is Role.LABEL:
            by_source.setdefault(each.from_folder_id, []).append(each)
    reasons: dict[int, HoldReason] = {}
    for moved in by_source.values():
        if limits.folder_share and _is_large_part(work, moved, limits.folder_share):
            reasons.update(dict.fromkeys((each.id for each in moved), HoldReason.FOLDER))
    return reasons


def _is_large_part(work: UnitOfWork, moved: Sequence[Correction], share: float) -> bool:
    """Whether these moves, all out of one folder, took at least `share` of it."""
    if len(moved) < SMALL_FOLDER:
        return False
    folder = moved[0].from_folder
    left = work.placements.counts([folder]).get(folder.id, 0)
    return len(moved) >= share * (len(moved) + left)


def _take_back(work: UnitOfWork, account: Account, correction: Correction) -> bool:
    """Undo `teach`; False when the person has said something else about the mail since.

    The example that the mail was before is known from where it lay: in a label folder into
    which a person had put it, it was one for that folder.
    """
    example = work.examples.of_message(correction.message_id)
    if example is None or not _stems_from(example, correction):
        return False
    former = _former_label(correction)
    if former is None:
        work.examples.forget(example)
        return True
    message = example.message
    work.examples.teach(account, message.id, former, "folder", message.internal_date)
    return True


def _stems_from(example: Example, correction: Correction) -> bool:
    return (
        example.excluded_at is None
        and example.source == SOURCES[correction.kind]
        and example.labelled_at == correction.noticed_at
    )


def _former_label(correction: Correction) -> Folder | None:
    is_own_filing = correction.from_folder.role is Role.LABEL and not correction.overrules
    return correction.from_folder if is_own_filing else None
