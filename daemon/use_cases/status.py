"""What inboxd did so far, per account and per folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from daemon.config.settings import Settings
from daemon.locks import running_process
from daemon.store import UnitOfWork
from daemon.store.tables import Account, Action, Folder, Promise, Role
from daemon.use_cases.application import Application
from daemon.use_cases.costs import cost_warnings
from daemon.use_cases.notice_channels import notice_warning
from daemon.use_cases.notice_failures import Undelivered, told_in_words, undelivered
from daemon.use_cases.rules import rule_warnings
from daemon.use_cases.shares import share_warnings


@dataclass(frozen=True, slots=True)
class FolderState:
    """One label folder. `state`: "learning" (no example counts yet), "suggesting" (its past
    predictions do not show the target precision), "sorting", or "suspended" (its moves were wrong
    more often than it promised; see `daemon.use_cases.trust`).

    What a folder that does not sort yet lacks is in `missing_mails` (filed mails),
    `missing_right_predictions` (so many more, none wrong in between, None where nobody can
    tell) and, in words, `missing` (None: nothing). `target` is the precision asked for.
    """

    folder: str
    state: str
    examples: int
    messages: int
    threshold: float | None
    estimated_precision: float | None
    target: float
    missing: str | None = None
    missing_mails: int = 0
    missing_right_predictions: int | None = None


@dataclass(frozen=True, slots=True)
class Doubted:
    """Filed mail that may lie wrong (`trainer.doubt`): how many of the newest `mails` that the
    model learned from read clearly like another folder than theirs, and the `folders` that only
    suggest and could sort if these lay wrong and were put right."""

    mails: int
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccountState:
    """One account.

    `state`: "new" (never looked at), "paused", "failing" (the last pass ended in `error`),
    "untrained" (no model) or "ready". `sorted` counts mails that inboxd moved and that were
    not undone, `left` those it left in the inbox, `unreadable` those among them that it could not
    read, `corrections` the moves by people that taught something, `overruled` the moves of inboxd
    that people changed, `held` the moves that came in a burst and are not learned from until they
    are confirmed (`inboxd held`). `shared_model` is the name of the model that the account shares,
    `shared_with` the accounts with which it does. `undelivered`: notices that do not get through.
    `doubted`: None where putting mail right would let no folder sort that does not.
    """

    name: str
    state: str
    mode: str
    sorted: int
    left: int
    unreadable: int
    undone: int
    corrections: int
    overruled: int
    examples: int
    model: str | None
    last_cycle: datetime | None
    error: str | None
    notice: str | None
    folders: tuple[FolderState, ...]
    held: int = 0
    warnings: tuple[str, ...] = ()
    shared_model: str | None = None
    shared_with: tuple[str, ...] = ()
    undelivered: tuple[Undelivered, ...] = ()
    doubted: Doubted | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """The whole picture; `process` is the id of the running daemon, if one runs, `database` says
    which database inboxd keeps its memory in."""

    process: int | None
    state_dir: str
    accounts: tuple[AccountState, ...]
    database: str = ""


def status(app: Application) -> Status:
    """Read everything from the store; connects to no server and loads no model."""
    with app.store.read() as work:
        states = tuple(_account(app, work, name) for name in app.settings.accounts)
    return Status(
        running_process(app.state_dir), str(app.state_dir), states, database=app.store.place
    )


def _account(app: Application, work: UnitOfWork, name: str) -> AccountState:
    mode = app.account(name).mode.value
    account = work.accounts.get(name)
    model = app.models(name).current()
    share = app.share(name)
    shared_model = share.name if share is not None else None
    shared_with = share.others(name) if share is not None else ()
    if account is None:
        nothing = AccountState(name, "new", mode, 0, 0, 0, 0, 0, 0, 0, model, None, None, None, ())
        return replace(nothing, shared_model=shared_model, shared_with=shared_with)
    counts = work.decisions.counts(account)
    lost = undelivered(app, work, account)
    report = _report(app, work, name, model)
    every = work.folders.of(account)
    labels = app.labels(name, every)
    folders = _folders(app, work, account, every, labels, report)
    doubted = _doubted(every, labels, folders, report)
    return AccountState(
        name=name,
        state=_state(account, model),
        mode=mode,
        sorted=counts.get(Action.MOVED, 0),
        left=sum(counts.get(action, 0) for action in LEFT_ACTIONS),
        unreadable=counts.get(Action.UNREADABLE, 0),
        undone=counts.get(Action.UNDONE, 0),
        corrections=work.corrections.count_teaching(account),
        overruled=work.corrections.count_overruling(account),
        examples=work.examples.count(account),
        model=model,
        last_cycle=account.last_cycle_at,
        error=account.last_error,
        # Looked at anew: the last pass may have had no mail to judge, and so no use for a model.
        notice=app.models(name).damage() or account.notice,
        folders=folders,
        held=work.corrections.count_held(account),
        warnings=(
            *_warnings(app, name, every),
            *(told_in_words(name, each) for each in lost),
            *([_told(app, name, doubted)] if doubted is not None else []),
        ),
        shared_model=shared_model,
        shared_with=shared_with,
        undelivered=lost,
        doubted=doubted,
    )


def _warnings(app: Application, name: str, folders: Sequence[Folder]) -> Iterator[str]:
    """What in the configuration does not suit the folders or the accounts that there are."""
    yield from share_warnings(app, name)
    yield from cost_warnings(app, name, [f.name for f in folders if f.role is Role.LABEL])
    if (about_notices := notice_warning(app, name)) is not None:
        yield about_notices
    if folders:  # else nobody has looked at the server yet
        yield from rule_warnings(app, name, [f.name for f in folders])


LEFT_ACTIONS = (Action.LEFT, Action.SUGGESTED, Action.OBSERVED, Action.UNREADABLE)


def _state(account: Account, model: str | None) -> str:
    if account.paused_at is not None:
        return "paused"
    if account.last_error is not None:
        return "failing"
    if account.last_cycle_at is None and model is None:
        return "new"
    return "ready" if model is not None else "untrained"


def _report(app: Application, work: UnitOfWork, name: str, model: str | None) -> Mapping[str, Any]:
    """The figures of the account's model, {} where there is none."""
    owner = work.accounts.get(app.owner(name))
    row = work.models.get(owner, model) if owner is not None and model is not None else None
    return row.report if row else {}


def _doubted(
    every: Sequence[Folder],
    labels: Mapping[int, str],
    folders: Sequence[FolderState],
    report: Mapping[str, Any],
) -> Doubted | None:
    """`labels`: what the model calls `every` folder, by id. Models of earlier versions do not
    tell."""
    doubt = report.get("doubt") or {}
    names = {folder.name for folder in every if labels.get(folder.id) in doubt.get("labels", ())}
    gained = tuple(f.folder for f in folders if f.state == "suggesting" and f.folder in names)
    return Doubted(doubt["mails"], gained) if gained else None


def _told(app: Application, name: str, doubted: Doubted) -> str:
    share = app.share(name)
    whose = f"that {share.name} learned from" if share is not None else "that were filed"
    one = doubted.mails == 1
    mails = f"{'1' if one else doubted.mails} of the newest mails {whose}"
    reads = (
        "reads clearly like another folder than its own"
        if one
        else ("read clearly like another folder than their own")
    )
    number = len(doubted.folders)
    folders = (
        "1 folder that only suggests" if number == 1 else f"{number} folders that only suggest"
    )
    look = "inboxd examples check"
    if share is None:
        look += f" --account {name}"
    return (
        f"{mails} {reads}. If {'it lies' if one else 'they lie'} wrong, {folders} could sort once "
        f"that is put right: {look}"
    )


def _folders(
    app: Application,
    work: UnitOfWork,
    account: Account,
    every: Sequence[Folder],
    labels: Mapping[int, str],
    report: Mapping[str, Any],
) -> tuple[FolderState, ...]:
    examples = work.examples.counts_by_folder(account)
    folders = [f for f in every if f.role is Role.LABEL]
    messages = work.placements.counts(folders)
    states = (
        _folder(
            app.settings,
            folder,
            labels[folder.id],
            report,
            examples.get(folder.id, 0),
            messages.get(folder.id, 0),
        )
        for folder in folders
    )
    broken = {row.folder_id: row for row in work.promises.broken(account)}
    return tuple(
        _suspended(state, broken[folder.id]) if folder.id in broken else state
        for state, folder in zip(states, folders, strict=True)
    )


def _suspended(state: FolderState, row: Promise) -> FolderState:
    """The same folder, after it broke its promise."""
    figures = f"{row.wrong} of {row.moves} moves wrong"
    return replace(
        state, state="suspended", missing=f"{figures}; inboxd folders trust {state.folder}"
    )


def _folder(
    settings: Settings,
    folder: Folder,
    label: str,
    report: Mapping[str, Any],
    examples: int,
    messages: int,
) -> FolderState:
    target = report.get("target_precision", settings.model.target_precision)
    known = report.get("thresholds", {}).get(label)
    if known is None:
        lacking = max(settings.training.min_examples_per_folder - examples, 0)
        missing = _mails(lacking) if lacking else "the next training"
        return FolderState(
            *(folder.name, "learning", examples, messages, None, None, target),
            missing=missing,
            missing_mails=lacking,
        )
    figures = (examples, messages, known["threshold"], known["estimated_precision"], target)
    if known["threshold"] is not None:
        return FolderState(folder.name, "sorting", *figures)
    # Models of earlier versions do not tell.
    lacks = report.get("per_label", {}).get(label, {}).get("missing") or {}
    mails, right = lacks.get("mails", 0), lacks.get("right_predictions")
    return FolderState(
        *(folder.name, "suggesting", *figures),
        missing=_missing(mails, right, known["estimated_precision"], target),
        missing_mails=mails,
        missing_right_predictions=right,
    )


def _missing(mails: int, right: int | None, precision: float, target: float) -> str:
    """What keeps a folder from sorting, in a few words."""
    if mails:
        return _mails(mails)
    short = f"precision {precision:.3f} of {target:.3f}" if precision < target else ""
    more = f"{right} more right prediction{'s' if right != 1 else ''}" if right else ""
    return ": ".join(part for part in (short, more) if part) or "the next training"


def _mails(number: int) -> str:
    return f"{number} more mail{'s' if number != 1 else ''}"
