"""Noticing what people did: by state, not by events.

One pass compares each folder's STATUS with the stored one, looks only into folders that
changed (`looking`), stores what came and went (`storing`), and links what vanished with what
arrived (`explaining`). A move that straddles the pass shows one half now and the other in the
next pass, so unexplained halves are kept for a while. Our own moves never appear here: the mover
records them with their new UIDs before the next observation, under the account's lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from daemon.mailbox.port import Mailbox
from daemon.sorting.bursts import BurstLimits, learn_or_hold
from daemon.sorting.explaining import explain
from daemon.sorting.folders import (
    FolderChanges,
    FolderPatterns,
    apply_folders,
    look_at_folders,
)
from daemon.sorting.lessons import Noticed
from daemon.sorting.looking import View, look_if_possible
from daemon.sorting.renumber import carry_over
from daemon.sorting.storing import apply_view, take_inventory
from daemon.store import Store, UnitOfWork
from daemon.store.tables import Account, ArrivedBy, Placement, Role

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Observation:
    """What one pass found."""

    changes: FolderChanges = field(default_factory=FolderChanges)
    noticed: list[Noticed] = field(default_factory=list)
    scanned: int = 0
    delivered: int = 0
    taken_back: int = 0
    """Lessons of earlier passes that turned out to belong to a burst."""
    reopened: int = 0
    """Moves that the server began after inboxd had given them up: `reconcile` finishes them."""

    @property
    def lessons(self) -> int:
        """How many moves by people taught something."""
        return sum(each.kind.teaches and not each.held for each in self.noticed)

    @property
    def held(self) -> int:
        """How many moves by people would teach something, once they are confirmed."""
        return sum(each.held for each in self.noticed)

    def hold(self, work: UnitOfWork, account: Account, limits: BurstLimits, now: datetime) -> None:
        """Learn from what was noticed, or hold it back; see `bursts`."""
        outcome = learn_or_hold(work, account, limits, now)
        self.noticed = [
            replace(each, held=each.kind.teaches and each.message_id in outcome.held)
            for each in self.noticed
        ]
        self.taken_back = outcome.taken_back


def observe(
    store: Store,
    mailbox: Mailbox,
    account_name: str,
    patterns: FolderPatterns,
    now: datetime,
    limits: BurstLimits | None = None,
) -> Observation:
    """One pass over all folders of an account; commits what it finds.

    The first pass of an account takes the inventory (one commit per folder, so that a killed
    process goes on where it stopped) and draws no conclusions. The server is only asked
    outside of write transactions: a slow server must not keep other accounts waiting.
    """
    result = Observation()
    with store.read() as work:
        account = work.accounts.get(account_name)
        folder_view = look_at_folders(work, mailbox, account, patterns)
    with store.write() as work:
        account = work.accounts.get_or_create(account_name, now)
        result.changes = apply_folders(work, account, folder_view, now)
        work.commit()
        is_baseline = account.baseline_at is None
        folders = work.folders.of(account)
    views: list[View] = []
    statuses = mailbox.statuses([folder.name for folder in folders])
    for folder in folders:
        status = statuses[folder.name]
        view = look_if_possible(store, mailbox, folder, status, is_baseline=is_baseline)
        if view is None:
            continue
        result.scanned += 1
        if is_baseline:
            take_inventory(store, account_name, view, now)
            continue
        if folder.uid_validity not in {None, view.snapshot.uid_validity}:
            rest = carry_over(
                store, account_name, folder, view.snapshot.uid_validity, view.fresh, now
            )
            view = replace(view, fresh=rest)
        views.append(view)
    with store.write() as work:
        account = work.accounts.get_or_create(account_name, now)
        if is_baseline:
            account.baseline_at = now
        elif account.restored_at is not None:
            _take_as_it_is(work, account, views, now)
        else:
            _draw_conclusions(work, account, views, result, now)
            result.hold(work, account, limits or BurstLimits(), now)
        account.restored_at = None
        work.commit()
    return result


def _draw_conclusions(
    work: UnitOfWork,
    account: Account,
    views: Sequence[View],
    result: Observation,
    now: datetime,
) -> None:
    departures: list[Placement] = []
    arrivals: list[Placement] = []
    for view in views:
        gone, new = apply_view(work, account, view, now)
        departures += gone
        arrivals += new
    found = explain(work, account, departures, arrivals, now)
    result.noticed = found.noticed
    result.delivered = found.delivered
    result.reopened = found.reopened


def _take_as_it_is(
    work: UnitOfWork, account: Account, views: Sequence[View], now: datetime
) -> None:
    """The first look after a restore: whatever came or went since the backup may have been moved
    by a person or by the inboxd of then, whose records are lost. So nothing is learned from it,
    and what lies new in the inbox may have been put back there: it stays. See docs/adr/0045."""
    found = 0
    for view in views:
        departures, arrivals = apply_view(work, account, view, now)
        for placement in departures:
            placement.departure_explained = True
        for placement in arrivals:
            if placement.folder.role is Role.INBOX:
                placement.arrived_by = ArrivedBy.DELIVERY
                placement.message.kept = True
            else:
                # Counts as its own move, of which it learns nothing until a person confirms it.
                placement.arrived_by = ArrivedBy.INBOXD
        found += len(arrivals)
    log.info("observe.after_restore", account=account.name, arrivals=found)
