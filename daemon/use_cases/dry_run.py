"""A pass that changes nothing: the same code on a throw-away copy of the database.

The copy observes, learns nothing and decides in mode "observe", so no move is ever planned
and the copy's records vanish with it. The server is only read.
"""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path

from daemon.config.settings import Mode, Settings
from daemon.store import DATABASE_NAME, Store
from daemon.use_cases.application import Application
from daemon.use_cases.cycle import CycleReport, run_cycle
from daemon.use_cases.history import HistoryEntry, entry_of


@dataclass(frozen=True, slots=True)
class DryRun:
    """The pass, and the decisions that it would have made."""

    report: CycleReport
    decisions: tuple[HistoryEntry, ...]


def dry_run(app: Application, name: str) -> DryRun:
    """One pass over a copy. Raises as `run_cycle` does; moves left unfinished by a killed
    process are not settled, only a real pass does that."""
    with tempfile.TemporaryDirectory(prefix="inboxd-dry-run-") as directory:
        app.store.copy_to(Path(directory) / DATABASE_NAME)
        store = Store.open(Path(directory))
        try:
            return _pass(dataclasses.replace(app, store=store, settings=_observing(app)), name)
        finally:
            store.close()


def _observing(app: Application) -> Settings:
    """The settings with every account in mode observe."""
    accounts = {
        name: account.model_copy(update={"mode": Mode.OBSERVE})
        for name, account in app.settings.accounts.items()
    }
    return app.settings.model_copy(update={"accounts": accounts})


def _pass(app: Application, name: str) -> DryRun:
    with app.store.write() as work:
        account = work.accounts.get_or_create(name, app.clock())
        work.moves.forget_planned(account)
        newest = work.decisions.latest(account, 1)
        last_id = newest[0].id if newest else 0
        work.commit()
    with app.mailbox(name) as mailbox:
        report = run_cycle(app, name, mailbox, learn=False)
    with app.store.read() as work:
        account_now = work.accounts.get(name)
        decisions = work.decisions.after(account_now, last_id) if account_now else []
        rules = app.rules(name)
        return DryRun(report, tuple(entry_of(name, decision, rules) for decision in decisions))
