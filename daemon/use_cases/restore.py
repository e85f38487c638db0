"""Restoring a backup, on this machine or on another.

    STATE/.restore/                    the unpacked and checked backup
    STATE/.restore/plan.json           from here on the switch goes through, whoever interrupts it
    STATE/replaced-20260301T120000Z/   what was there before

Until the plan is written nothing of the state is touched. After it, a killed restore is finished
by `resume`, and until then no other command works here (`Store.open` looks for the plan).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from classifier.manifest import flush_to_disk, make_private_directory, replace_private
from daemon.archive import Progress, read_archive
from daemon.errors import ArchiveBroken, NotFound, StateError
from daemon.learning.gather import ignore
from daemon.learning.share import SIGN, is_shared, traces_of
from daemon.locks import sole_access
from daemon.store import (
    DATABASE_NAME,
    PAIRING_NAME,
    UNFINISHED_RESTORE,
    Server,
    Store,
    holds_rows,
    load,
    save,
)
from daemon.use_cases.backup import MODELS, AccountInBackup, contained

log = structlog.get_logger(__name__)

STATE_NAMES = (
    DATABASE_NAME,
    f"{DATABASE_NAME}-wal",
    f"{DATABASE_NAME}-shm",
    PAIRING_NAME,
    MODELS,
    "deep",
    "tuning",
    "tensorboard",
)
"""What belongs together: none of it makes sense with another database."""


SERVER_COPY = "server.sqlite3"
"""In the directory of the former state: what the database on the server held."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One account of the backup, and its name from now on."""

    account: str
    new_name: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored. `replaced`: where the former state lies now; `unknown`: accounts that
    the configuration does not have; `left_out`: names of shared models that learned from the one
    account that was chosen, and are not restored, since they hold what others were taught."""

    created_at: datetime
    accounts: tuple[AccountInBackup, ...]
    unknown: tuple[str, ...]
    replaced: Path | None
    left_out: tuple[str, ...] = ()


def restore(
    state_dir: Path,
    archive: Path,
    now: datetime,
    *,
    server: Server | None = None,
    configured: Collection[str] = (),
    chosen: Chosen | None = None,
    replace: bool = False,
    was_stopped: bool = False,
    progress: Progress = ignore,
) -> Restored:
    """Make a backup the state of `state_dir`, whole or (`chosen`) one account of it alone; with
    `server` its database is filled, else a file of SQLite.

    `was_stopped`: inboxd has not run since the backup, so whatever moved since was moved by
    people, and what is new in the inbox is new mail. Without it nothing is learned from what
    happened since, and mail that came since stays where it is.

    Raises `AlreadyRunning`, `ArchiveBroken`, `DatabaseTooNew`, `NotFound` and `StateError`, and
    has changed nothing then.
    """
    with sole_access(state_dir):
        _refuse_unfinished(state_dir)
        present = [name for name in STATE_NAMES if (state_dir / name).exists()]
        on_server = server is not None and holds_rows(server)
        if (present or on_server) and not replace:
            raise StateError(
                f"There is a state in {state_dir} already "
                f"({', '.join([*present, *(['the database'] if on_server else [])])}).",
                next_step="Add --replace: it is moved aside, not deleted.",
            )
        stage = state_dir / UNFINISHED_RESTORE.parent
        try:
            manifest = _unpack(archive, stage, progress)
            accounts, left_out = _prepare(stage, chosen, None if was_stopped else now)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
        aside = _free_name(state_dir, now) if present or on_server else None
        _plan(state_dir, aside, present, on_server=on_server, to_server=server is not None)
        _switch(state_dir, server)
    log.info("restore.done", accounts=len(accounts), replaced=aside is not None)
    return Restored(
        created_at=datetime.fromisoformat(manifest["created"]),
        accounts=accounts,
        unknown=tuple(
            each.name
            for each in accounts
            if each.name not in configured and not is_shared(each.name)
        ),
        replaced=state_dir / aside if aside is not None else None,
        left_out=left_out,
    )


def resume(state_dir: Path, server: Server | None = None) -> Path | None:
    """Finish a restore that was killed; returns where the former state lies, if there was one.

    Raises `NotFound` when there is none to finish, `AlreadyRunning`, and `StateError` when the
    configuration names another kind of database than it did then.
    """
    if not (state_dir / UNFINISHED_RESTORE).exists():
        raise NotFound(
            f"No restore into {state_dir} was interrupted while it could not be taken back.",
            next_step="Run: inboxd restore FILE",
        )
    with sole_access(state_dir):
        plan = _read_plan(state_dir)
        aside = plan["aside"]
        if plan.get("to_server", False) is not (server is not None):
            raise StateError(
                "The restore was begun with another [state] database.",
                next_step="Write it as it was, then run: inboxd restore --resume",
            )
        _switch(state_dir, server)
    return state_dir / aside if aside is not None else None


def _refuse_unfinished(state_dir: Path) -> None:
    if (state_dir / UNFINISHED_RESTORE).exists():
        raise StateError(
            f"An earlier restore into {state_dir} was interrupted.",
            next_step="Run: inboxd restore --resume",
        )


def _unpack(archive: Path, stage: Path, progress: Progress) -> Mapping[str, Any]:
    """Into a new directory; every hash was right when this returns."""
    if stage.exists():
        shutil.rmtree(stage)  # of a restore that was killed before it began to switch
    make_private_directory(stage)
    try:
        manifest = read_archive(archive, stage, progress)
        datetime.fromisoformat(manifest["created"])
    except OSError as error:
        raise StateError(
            f"{error.filename or archive} cannot be used: {error.strerror}.",
            next_step="Name a readable backup; see that [state] dir has enough free space.",
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ArchiveBroken(f"{archive} does not say when it was made.") from error
    if not (stage / DATABASE_NAME).is_file():
        raise ArchiveBroken(f"{archive} holds no database.")
    return manifest


def _prepare(
    stage: Path, chosen: Chosen | None, restored_at: datetime | None
) -> tuple[tuple[AccountInBackup, ...], tuple[str, ...]]:
    """Migrate the database, and leave of the accounts what is wanted, under the new name.

    Returns them, and the shared models that are left out.
    """
    left_out: tuple[str, ...] = ()
    store = Store.open(stage)
    try:
        with store.write() as work:
            known = {account.name: account for account in work.accounts.every()}
            names = [name for name in known if not is_shared(name)]
            if chosen is not None and chosen.account not in names:
                raise NotFound(
                    f"The backup has no account {chosen.account!r}.",
                    next_step=f"It has: {', '.join(names) or 'none'}.",
                )
            if chosen is not None:
                traces = traces_of(work, chosen.account)
                left_out = tuple(owner.removeprefix(SIGN) for owner in traces)
            for name, account in known.items():
                if chosen is not None and name != chosen.account:
                    work.accounts.delete(account)
                    continue
                account.restored_at = restored_at
                if chosen is not None:
                    account.name = chosen.new_name
            work.commit()
        _choose_models(stage / MODELS, known, chosen)
        with store.read() as work:
            found = tuple(contained(work, account, stage) for account in work.accounts.every())
        if len(found) < len(known):
            store.compact()
    finally:
        store.close()
    return found, left_out


def _choose_models(models: Path, known: Collection[str], chosen: Chosen | None) -> None:
    """Those of accounts that the database has, under the name that the account has now."""
    for directory in list(models.iterdir()) if models.is_dir() else ():
        if directory.name not in known or (chosen is not None and directory.name != chosen.account):
            shutil.rmtree(directory)
        elif chosen is not None:
            directory.rename(models / chosen.new_name)


def _free_name(state_dir: Path, now: datetime) -> str:
    def names() -> Iterator[str]:
        stem = f"replaced-{now:%Y%m%dT%H%M%SZ}"
        yield stem
        yield from (f"{stem}-{number}" for number in range(2, 1000))

    return next(name for name in names() if not (state_dir / name).exists())


def _plan(
    state_dir: Path, aside: str | None, old: list[str], *, on_server: bool, to_server: bool
) -> None:
    """The point of no return: everything unpacked is on disk before the plan is."""
    stage = state_dir / UNFINISHED_RESTORE.parent
    new = sorted(path.name for path in stage.iterdir())
    for directory in (*(path for path in stage.rglob("*") if path.is_dir()), stage):
        flush_to_disk(directory)
    plan = {
        "aside": aside,
        "old": old,
        "new": new,
        "on_server": on_server,
        "to_server": to_server,
    }
    replace_private(state_dir / UNFINISHED_RESTORE, json.dumps(plan).encode())


def _read_plan(state_dir: Path) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads((state_dir / UNFINISHED_RESTORE).read_text("utf-8"))
    return plan


def _switch(state_dir: Path, server: Server | None) -> None:
    """Move the old aside and the new in; begun anew, it goes on where it was."""
    plan = _read_plan(state_dir)
    stage = state_dir / UNFINISHED_RESTORE.parent
    if plan["aside"] is not None:
        aside = state_dir / plan["aside"]
        make_private_directory(aside)
        if server is not None and plan["on_server"] and not (aside / SERVER_COPY).exists():
            save(server, aside / f"{SERVER_COPY}.part")
            (aside / f"{SERVER_COPY}.part").rename(aside / SERVER_COPY)
        for name in plan["old"]:
            # Once it lies there, what has its name here is the new one.
            if not (aside / name).exists() and (state_dir / name).exists():
                (state_dir / name).rename(aside / name)
        flush_to_disk(aside)
    if server is not None and (stage / DATABASE_NAME).exists():
        load(server, stage / DATABASE_NAME, state_dir)
        # Killed before this line, it is loaded once more, which comes to the same.
        (stage / DATABASE_NAME).unlink()
    for name in plan["new"]:
        if (stage / name).exists():
            (stage / name).rename(state_dir / name)
    flush_to_disk(state_dir)
    (state_dir / UNFINISHED_RESTORE).unlink()
    flush_to_disk(stage)
    shutil.rmtree(stage)
