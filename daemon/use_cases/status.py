"""What inboxd did so far, per account and per folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daemon.locks import running_process
from daemon.store import UnitOfWork
from daemon.store.tables import Account, Action, Folder, Role
from daemon.use_cases.application import Application


@dataclass(frozen=True, slots=True)
class FolderState:
    """One label folder. `state`: "learning" (no example counts yet), "suggesting" (its past
    predictions do not show the target precision) or "sorting"."""

    folder: str
    state: str
    examples: int
    messages: int
    threshold: float | None
    estimated_precision: float | None


@dataclass(frozen=True, slots=True)
class AccountState:
    """One account.

    `state`: "new" (never looked at), "paused", "failing" (the last pass ended in `error`),
    "untrained" (no model) or "ready". `sorted` counts mails that inboxd moved and that were
    not undone, `left` those it judged and left in the inbox, `corrections` the moves by people
    that taught something, `overruled` the moves of inboxd that people changed.
    """

    name: str
    state: str
    mode: str
    sorted: int
    left: int
    undone: int
    corrections: int
    overruled: int
    examples: int
    model: str | None
    last_cycle: datetime | None
    error: str | None
    notice: str | None
    folders: tuple[FolderState, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """The whole picture; `process` is the id of the running daemon, if one runs."""

    process: int | None
    state_dir: str
    accounts: tuple[AccountState, ...]


def status(app: Application) -> Status:
    """Read everything from the store; connects to no server and loads no model."""
    with app.store.read() as work:
        states = tuple(_account(app, work, name) for name in app.settings.accounts)
    return Status(running_process(app.state_dir), str(app.state_dir), states)


def _account(app: Application, work: UnitOfWork, name: str) -> AccountState:
    mode = app.account(name).mode.value
    account = work.accounts.get(name)
    model = app.engine.account(name).current()
    if account is None:
        return AccountState(name, "new", mode, 0, 0, 0, 0, 0, 0, model, None, None, None, ())
    counts = work.decisions.counts(account)
    return AccountState(
        name=name,
        state=_state(account, model),
        mode=mode,
        sorted=counts.get(Action.MOVED, 0),
        left=sum(counts.get(action, 0) for action in LEFT_ACTIONS),
        undone=counts.get(Action.UNDONE, 0),
        corrections=work.corrections.count_teaching(account),
        overruled=work.corrections.count_overruling(account),
        examples=work.examples.count(account),
        model=model,
        last_cycle=account.last_cycle_at,
        error=account.last_error,
        # Looked at anew: the last pass may have had no mail to judge, and so no use for a model.
        notice=app.engine.account(name).damage() or account.notice,
        folders=_folders(work, account, model),
    )


LEFT_ACTIONS = (Action.LEFT, Action.SUGGESTED, Action.OBSERVED, Action.UNREADABLE)


def _state(account: Account, model: str | None) -> str:
    if account.paused_at is not None:
        return "paused"
    if account.last_error is not None:
        return "failing"
    if account.last_cycle_at is None and model is None:
        return "new"
    return "ready" if model is not None else "untrained"


def _folders(work: UnitOfWork, account: Account, model: str | None) -> tuple[FolderState, ...]:
    row = work.models.get(account, model) if model is not None else None
    thresholds: Mapping[str, Mapping[str, Any]] = row.report.get("thresholds", {}) if row else {}
    examples = work.examples.counts_by_folder(account)
    folders = [f for f in work.folders.of(account) if f.role is Role.LABEL]
    messages = work.placements.counts(folders)
    return tuple(
        _folder(folder, thresholds, examples.get(folder.id, 0), messages.get(folder.id, 0))
        for folder in folders
    )


def _folder(
    folder: Folder, thresholds: Mapping[str, Mapping[str, Any]], examples: int, messages: int
) -> FolderState:
    known = thresholds.get(str(folder.id))
    if known is None:
        return FolderState(folder.name, "learning", examples, messages, None, None)
    state = "suggesting" if known["threshold"] is None else "sorting"
    return FolderState(
        folder.name, state, examples, messages, known["threshold"], known["estimated_precision"]
    )
