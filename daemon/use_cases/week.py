"""What happened in an account within a period, for the weekly summary.

Read from the store; connects to no server, loads no model. Whatever it tells is a count, a time,
the name of a folder or of a kind of error.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime

from daemon.errors import ModelError
from daemon.notices.words import FolderWeek, Trouble, Week
from daemon.store import UnitOfWork
from daemon.store.history import Period
from daemon.store.tables import Account, Action
from daemon.use_cases.application import Application
from daemon.use_cases.status import status
from daemon.use_cases.trust import LiveFolder, list_folders

_MOVED = frozenset({Action.MOVED, Action.UNDONE})
_SUGGESTED = frozenset({Action.SUGGESTED, Action.OBSERVED})


def look_back(app: Application, name: str, since: datetime, until: datetime) -> Week:
    """The account between two moments; an account that was never looked at had a quiet time."""
    with app.store.read() as work:
        account = work.accounts.get(name)
        if account is None:
            return Week(name, since, until)
        week = _happened(work, account, (since, until))
    return _with_state(app, name, week)


def _happened(work: UnitOfWork, account: Account, period: Period) -> Week:
    decisions = work.decisions.counts_by_folder(account, period)
    corrections = work.corrections.counts(account, period)
    by_action: Counter[Action] = Counter()
    moved: Counter[int] = Counter()
    for (folder, action), count in decisions.items():
        by_action[action] += count
        if action in _MOVED and folder is not None:
            moved[folder] += count
    overruled: Counter[int] = Counter()
    for each in corrections:
        if each.overrules:
            overruled[each.from_folder] += each.mails
    folders = [f for f in work.folders.of(account) if moved[f.id] or overruled[f.id]]
    return Week(
        account=account.name,
        since=period[0],
        until=period[1],
        moved=sum(by_action[action] for action in _MOVED),
        suggested=sum(by_action[action] for action in _SUGGESTED),
        left=by_action[Action.LEFT],
        unreadable=by_action[Action.UNREADABLE],
        overruled=overruled.total(),
        manual=sum(e.mails for e in corrections if e.kind.teaches and not e.overrules),
        held=work.corrections.count_held(account),
        folders=tuple(FolderWeek(f.name, moved[f.id], overruled[f.id], None, 0.0) for f in folders),
        troubles=tuple(
            Trouble(failure.kind, failure.last_at)
            for failure in work.failures.of(account)
            if period[0] <= failure.last_at < period[1]
        ),
    )


def _with_state(app: Application, name: str, week: Week) -> Week:
    """How the account stands now; without that where nobody can tell which model is in use."""
    try:
        [state] = [each for each in status(app).accounts if each.name == name]
        live = {each.folder: each for each in list_folders(app, name)}
    except ModelError:
        return week
    states = Counter(folder.state for folder in state.folders)
    promised = [each.promised for each in live.values()]
    return replace(
        week,
        moves=sum(each.moves for each in live.values()),
        wrong=sum(each.wrong for each in live.values()),
        promised=min(promised, default=None),
        states={each: states[each] for each in ("sorting", "suggesting", "learning", "suspended")},
        folders=tuple(_live(each, live.get(each.name)) for each in week.folders),
        model=state.model,
    )


def _live(folder: FolderWeek, live: LiveFolder | None) -> FolderWeek:
    if live is None:
        return folder
    return replace(folder, precision=live.precision, promised=live.promised)
