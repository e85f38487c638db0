"""Lessons that came in a burst: look at them, then let them count or not.

Confirming or discarding changes what is learned from and nothing else: no mail is moved, and
what people put back is never moved again either way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.errors import NotFound
from daemon.sorting.bursts import teach
from daemon.store import UnitOfWork
from daemon.store.tables import Account, Correction, Hold, HoldReason
from daemon.use_cases.application import Application


@dataclass(frozen=True, slots=True)
class HeldMoves:
    """Moves from one folder to another that wait for the person's word, noticed between `first`
    and `last`. `reason`: "many" within an hour, or a large part of a "folder"."""

    account: str
    from_folder: str
    to_folder: str
    mails: int
    reason: str
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which held moves are meant: those between these folders; None means any."""

    from_folder: str | None = None
    to_folder: str | None = None

    def includes(self, correction: Correction) -> bool:
        """Whether this move is meant."""
        return self.from_folder in {None, correction.from_folder.name} and self.to_folder in {
            None,
            correction.to_folder.name,
        }


def list_held(app: Application, name: str | None) -> list[HeldMoves]:
    """Held moves of one account or of all, grouped by where from and where to."""
    found: list[HeldMoves] = []
    with app.store.read() as work:
        for account_name in app.names(name):
            account = work.accounts.get(account_name)
            if account is not None:
                found += _grouped(account_name, work.corrections.held(account))
    return found


def confirm_held(app: Application, name: str, chosen: Chosen) -> list[HeldMoves]:
    """Let held moves teach what they say. Raises `NotFound` when none is meant."""
    return _end(app, name, chosen, _confirm)


def discard_held(app: Application, name: str, chosen: Chosen) -> list[HeldMoves]:
    """Never learn from these moves; what was known before stays. Raises `NotFound`."""
    return _end(app, name, chosen, _discard)


def _confirm(work: UnitOfWork, account: Account, correction: Correction) -> None:
    teach(work, account, correction)
    correction.hold = Hold.CONFIRMED


def _discard(_work: UnitOfWork, _account: Account, correction: Correction) -> None:
    correction.hold = Hold.DISCARDED


def _end(
    app: Application,
    name: str,
    chosen: Chosen,
    end: Callable[[UnitOfWork, Account, Correction], None],
) -> list[HeldMoves]:
    """All at once or not at all: killed half-way, everything is still held."""
    with app.locked(name), app.store.write() as work:
        account = work.accounts.get_or_create(name, app.clock())
        meant = [each for each in work.corrections.held(account) if chosen.includes(each)]
        if not meant:
            raise NotFound(
                f"No such moves are held in account {name}.", next_step="Run: inboxd held list"
            )
        for correction in meant:
            end(work, account, correction)
        work.commit()
        return _grouped(name, meant)


def _grouped(account: str, corrections: Sequence[Correction]) -> list[HeldMoves]:
    groups: dict[tuple[str, str, HoldReason | None], list[Correction]] = {}
    for each in corrections:
        key = (each.from_folder.name, each.to_folder.name, each.hold_reason)
        groups.setdefault(key, []).append(each)
    return [
        HeldMoves(
            account=account,
            from_folder=source,
            to_folder=target,
            mails=len(moves),
            reason=reason.value if reason is not None else "",
            first=moves[0].noticed_at,
            last=moves[-1].noticed_at,
        )
        for (source, target, reason), moves in groups.items()
    ]
