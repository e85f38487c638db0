"""Which folders keep their promise, and trusting those again that did not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from daemon.errors import NotFound
from daemon.sorting.promises import (
    WouldBe,
    judge_folder,
    lift_unmeant,
    resume,
    review,
    sentence,
    suspend_broken,
)
from daemon.store import UnitOfWork
from daemon.store.tables import Account, Promise, Role
from daemon.use_cases.application import Application

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BrokenPromise:
    """A folder into which nothing is moved since `broken_at`: `wrong` of its last `moves` moves
    were wrong, where the share `promised` (0 to 1) of right ones was promised."""

    account: str
    folder: str
    broken_at: datetime
    moves: int
    wrong: int
    promised: float

    @property
    def precision(self) -> float:
        """The share of right moves."""
        return 1.0 - self.wrong / self.moves


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Names of the folders that lost their autonomy now, and of those that regained it."""

    suspended: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveFolder:
    """How right inboxd is in one folder. `moves` and `wrong`: the model's last moves whose
    outcome is known; `precision` None: there are none. `suspended_at` None: it is trusted."""

    account: str
    folder: str
    promised: float
    moves: int
    wrong: int
    precision: float | None
    suspended_at: datetime | None


def broken_promises(
    app: Application, name: str | None, since: datetime | None = None
) -> list[BrokenPromise]:
    """Folders that are suspended, of one account or of all; with `since` those from then on.

    For whoever tells people about it: connects to no server, loads no model.
    """
    found: list[BrokenPromise] = []
    with app.store.read() as work:
        for account_name in app.names(name):
            account = work.accounts.get(account_name)
            rows = work.promises.broken(account) if account is not None else []
            found += [_broken(account_name, row) for row in rows]
    return [each for each in found if since is None or each.broken_at >= since]


def _broken(name: str, row: Promise) -> BrokenPromise:
    assert row.broken_at is not None
    return BrokenPromise(name, row.folder.name, row.broken_at, row.moves, row.wrong, row.promised)


def review_promises(app: Application, name: str) -> Reviewed:
    """Suspend folders that broke their promise, and trust those that keep it again.

    The caller holds the account's lock, and calls it after people's moves were noticed. Raises
    `ModelError` when nobody can tell which model is in use.
    """
    version = app.models(name).current()
    now = app.clock()
    with app.store.write() as work:
        account = work.accounts.get(name)
        if account is None or version is None:
            return Reviewed()
        report = _report(app, work, name, version)
        trusted = lift_unmeant(work, account)
        for row in work.promises.broken(account):
            if row.reviewed_with != version:
                would_be = list(_would_be(app, work, account, name, row, version, report))
                trusted += [row] if review(row, would_be, version, now) else []
        suspended = suspend_broken(work, account, _promised(app, report), now)
        names = [tuple(row.folder.name for row in rows) for rows in (suspended, trusted)]
        work.commit()
    return Reviewed(*names)


def suspensions(app: Application, name: str) -> dict[int, str]:
    """By folder id: why nothing is moved there."""
    with app.store.read() as work:
        account = work.accounts.get(name)
        rows = work.promises.broken(account) if account is not None else []
        return {row.folder_id: sentence(row) for row in rows}


def list_folders(app: Application, name: str | None) -> list[LiveFolder]:
    """How right inboxd is in each label folder, of one account or of all."""
    found: list[LiveFolder] = []
    with app.store.read() as work:
        for account_name in app.names(name):
            account = work.accounts.get(account_name)
            if account is not None:
                version = app.models(account_name).current()
                promised = _promised(
                    app, _report(app, work, account_name, version) if version else {}
                )
                found += _live(app, work, account_name, account, promised)
    return found


def _live(
    app: Application, work: UnitOfWork, name: str, account: Account, promised: float
) -> Iterator[LiveFolder]:
    rows = {row.folder_id: row for row in work.promises.of(account)}
    used = work.promises.moved_into(account)
    for folder in work.folders.of(account):
        if folder.role is not Role.LABEL:
            continue
        row = rows.get(folder.id)
        if row is not None and row.broken_at is not None:
            moves, wrong, since = row.moves, row.wrong, row.broken_at
            yield LiveFolder(
                name, folder.name, row.promised, moves, wrong, 1.0 - wrong / moves, since
            )
        elif folder.id in used:
            counted_from = row.counted_from if row is not None else None
            live = judge_folder(work, account, folder.id, promised, app.clock(), counted_from)
            yield LiveFolder(
                name, folder.name, promised, live.moves, live.wrong, live.precision, None
            )
        else:
            yield LiveFolder(name, folder.name, promised, 0, 0, None, None)


def trust(app: Application, name: str, folder: str) -> BrokenPromise:
    """Let inboxd move mail into a suspended folder again; what was wrong before no longer
    counts. Raises `NotFound`."""
    with app.locked(name), app.store.write() as work:
        account = work.accounts.get(name)
        rows = work.promises.broken(account) if account is not None else []
        row = next((each for each in rows if each.folder.name == folder), None)
        if row is None:
            raise NotFound(
                f"The folder {folder!r} of account {name} is not suspended.",
                next_step=f"See which are: inboxd folders list --account {name}",
            )
        ended = _broken(name, row)
        resume(row, app.clock(), because="person")
        work.commit()
    return ended


def _report(app: Application, work: UnitOfWork, name: str, version: str) -> dict[str, Any]:
    owner = work.accounts.get(app.owner(name))
    row = work.models.get(owner, version) if owner is not None else None
    return row.report if row is not None else {}


def _promised(app: Application, report: dict[str, Any]) -> float:
    """The precision that folders had to show for the model in use."""
    return float(report.get("target_precision", app.settings.model.target_precision))


def _would_be(
    app: Application,
    work: UnitOfWork,
    account: Account,
    name: str,
    row: Promise,
    version: str,
    report: dict[str, Any],
) -> Iterator[WouldBe]:
    """What the model in use says, unseen, of mail that was filed since the suspension, where
    that would have been moved into the folder."""
    own = app.labels(name, work.folders.of(account)).get(row.folder_id)
    known = report.get("thresholds", {}).get(own) or {}
    threshold = known.get("threshold")
    if threshold is None or row.broken_at is None:
        return
    said = _held_out(app, name, version)
    for example in work.examples.usable(account):
        label, confidence = said.get(str(example.message_id), ("", 0.0))
        is_new = example.labelled_at >= row.broken_at
        if is_new and label == own and confidence >= threshold:
            yield WouldBe(example.labelled_at, example.folder_id == row.folder_id)


def _held_out(app: Application, name: str, version: str) -> dict[str, tuple[str, float]]:
    """Label and confidence by example, of mail that the model had not seen; nothing where the
    model's files are damaged."""
    from classifier.manifest import ArtifactBroken, read_listed  # noqa: PLC0415
    from daemon.learning.incumbent import HELD_OUT_FILE  # noqa: PLC0415

    try:
        text = read_listed(app.models(name).registry.path(version), HELD_OUT_FILE)
        return {key: (str(label), float(p)) for key, (label, p) in json.loads(text).items()}
    except (ArtifactBroken, ValueError) as error:
        log.warning("promises.no_predictions", version=version, kind=type(error).__name__)
        return {}
