"""A folder that is wrong more often than it promised loses its autonomy.

Every folder had to show the target precision on past mail before mail was moved into it. Whether
it keeps it, people's corrections show: a move of the model is wrong when a person moves the mail
elsewhere, and right when nobody has done so for `SETTLED`, or when a person has meanwhile put
right a later one in the same folder, and so has looked. `trainer.drift` judges these outcomes.

Held lessons count as wrong at once, since suggesting instead of moving is the careful side; when
they are discarded, the promise is as whole as it was. Nothing is moved back and nothing is
learned by any of this.

What is suspended is written down, and stays so until `resume`: after a restart, and when old
decisions are deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from daemon.store import UnitOfWork
from daemon.store.tables import Account, Folder, Promise, Role
from daemon.store.trust import MoveOutcome
from trainer.drift import DEFAULT, LivePrecision, holds_again, live_precision

log = structlog.get_logger(__name__)

SETTLED = timedelta(days=2)
"""A move that nobody has overruled for so long was right."""


@dataclass(frozen=True, slots=True)
class WouldBe:
    """What a later model, without having seen the mail, would have moved into a suspended folder,
    and whether a person has filed it there."""

    labelled_at: datetime
    right: bool


def judge_folder(
    work: UnitOfWork,
    account: Account,
    folder_id: int,
    promised: float,
    now: datetime,
    since: datetime | None = None,
) -> LivePrecision:
    """The live precision of a folder, from the moves since then that have an outcome."""
    found = work.promises.outcomes(account, folder_id, since, max(DEFAULT.windows))
    return live_precision(_settled(found, now), promised)


def _settled(outcomes: Sequence[MoveOutcome], now: datetime) -> list[bool]:
    """Whether each move with a known outcome was right, oldest first."""
    last_wrong = max((at for at, each in enumerate(outcomes) if each.wrong), default=-1)
    return [
        not each.wrong
        for at, each in enumerate(outcomes)
        if each.wrong is not None and (at <= last_wrong or each.finished_at <= now - SETTLED)
    ]


def suspend_broken(
    work: UnitOfWork, account: Account, promised: float, now: datetime
) -> list[Promise]:
    """Suspend the label folders whose moves break the promise; returns the new ones."""
    overruled = work.promises.overruled(account)
    known = {each.folder_id: each for each in work.promises.of(account)}
    found: list[Promise] = []
    for folder in work.folders.of(account):
        row = known.get(folder.id)
        if folder.id not in overruled or folder.role is not Role.LABEL or _is_broken(row):
            continue
        since = row.counted_from if row is not None else None
        live = judge_folder(work, account, folder.id, promised, now, since)
        if live.broken:
            found.append(_suspend(work, account, folder, live, promised, now))
    return found


def _is_broken(row: Promise | None) -> bool:
    return row is not None and row.broken_at is not None


def _suspend(
    work: UnitOfWork,
    account: Account,
    folder: Folder,
    live: LivePrecision,
    promised: float,
    now: datetime,
) -> Promise:
    row = work.promises.get_or_create(folder)
    row.broken_at = now
    row.moves, row.wrong, row.promised = live.moves, live.wrong, promised
    row.reviewed_with = None
    log.warning(
        "folder.suspended",
        account=account.name,
        folder=folder.id,
        moves=live.moves,
        wrong=live.wrong,
        promised=promised,
    )
    return row


def lift_unmeant(work: UnitOfWork, account: Account) -> list[Promise]:
    """Trust folders again whose wrong moves turned out not to be meant (`inboxd held discard`)."""
    lifted: list[Promise] = []
    for row in work.promises.broken(account):
        assert row.broken_at is not None
        limit = max(DEFAULT.windows)
        every = work.promises.outcomes(account, row.folder_id, row.counted_from, limit)
        if all(each.wrong is not None for each in every):
            continue
        if not live_precision(_settled(every, row.broken_at), row.promised).broken:
            row.broken_at = None
            lifted.append(row)
            log.info("folder.trusted", folder=row.folder_id, because="discarded")
    return lifted


def review(row: Promise, would_be: Sequence[WouldBe], version: str, now: datetime) -> bool:
    """Whether a new model shows, on what people taught since, that the promise holds again."""
    row.reviewed_with = version
    ordered = sorted(would_be, key=lambda each: each.labelled_at)
    if not holds_again([each.right for each in ordered], row.promised):
        return False
    resume(row, now, because="model")
    return True


def resume(row: Promise, now: datetime, *, because: str) -> None:
    """Trust the folder again; what was wrong before does not count any more."""
    row.broken_at = None
    row.counted_from = now
    log.info("folder.trusted", folder=row.folder_id, because=because)


def sentence(row: Promise) -> str:
    """Why nothing is moved into the folder."""
    return (
        f"It gets suggestions only: {row.wrong} of its last {row.moves} moves were wrong, and "
        f"{row.promised:.1%} right were promised."
    )
