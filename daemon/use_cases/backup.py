"""A backup of everything that inboxd knows, made while it works.

The database is copied by SQLite's online backup, and each account's models are taken as they are
under that account's lock, by hard links, which take no time and no space. The models come first:
so the database knows every model in the backup, and what it knows of newer ones is dropped from
the copy, so that they are trained again. See docs/adr/0045.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import structlog

from classifier.registry import Registry
from daemon.archive import Progress, write_archive
from daemon.errors import StateError
from daemon.learning.gather import ignore
from daemon.learning.share import SIGN, is_shared
from daemon.locks import account_lock, backup_lock, model_lock
from daemon.store import DATABASE_NAME, Store, UnitOfWork
from daemon.store.tables import Account
from daemon.use_cases.application import Application

log = structlog.get_logger(__name__)

MODELS = "models"
_SNAPSHOT = ".backup-"


@dataclass(frozen=True, slots=True)
class AccountInBackup:
    """One account in a backup: usable examples, kept models, and which of them is in use. A model
    that accounts share is one by itself, called @NAME."""

    name: str
    examples: int
    models: int
    current: str | None


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished backup; sizes in bytes, `size` is that of the file."""

    file: Path
    created_at: datetime
    size: int
    files: int
    database_bytes: int
    models_bytes: int
    accounts: tuple[AccountInBackup, ...]


def back_up(app: Application, target: Path, *, progress: Progress = ignore) -> Backup:
    """Write a backup into the file `target`, or under a name of its own into that directory.

    Changes nothing else, and may be killed at any time: `target` is whole or not there. Waits for
    an account that is just learning. Raises `StateError`.
    """
    now = app.clock()
    file = target / f"inboxd-{now:%Y%m%dT%H%M%SZ}.tar" if target.is_dir() else target
    if file.exists():
        raise StateError(
            f"{file} exists already; a backup is never replaced.",
            next_step="Name another file, or a directory, in which each gets its own name.",
        )
    with backup_lock(app.state_dir), _snapshot(app.state_dir) as snapshot:
        try:
            _take_models(app, snapshot)
            accounts = _take_database(app.store, snapshot)
            files = dict(_files(snapshot))
            facts = {
                "inboxd": version("inboxd"),
                "created": now.isoformat(),
                "accounts": [each.name for each in accounts],
            }
            size = write_archive(file, files, facts, progress)
        except OSError as error:
            raise StateError(
                f"The backup {file} cannot be written: {error.strerror}.",
                next_step="Name a file in a directory of yours that has enough free space.",
            ) from error
        sizes = {name: path.stat().st_size for name, path in files.items()}
    database = sizes.pop(DATABASE_NAME)
    log.info("backup.done", accounts=len(accounts), files=len(files), bytes=size)
    return Backup(
        file=file.absolute(),
        created_at=now,
        size=size,
        files=len(files),
        database_bytes=database,
        models_bytes=sum(sizes.values()),
        accounts=accounts,
    )


@contextmanager
def _snapshot(state_dir: Path) -> Iterator[Path]:
    """A private directory beside the models, on the same file system; removed in the end."""
    for left in state_dir.glob(f"{_SNAPSHOT}*"):  # by a backup that was killed
        shutil.rmtree(left)
    directory = Path(tempfile.mkdtemp(prefix=_SNAPSHOT, dir=state_dir))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def _take_models(app: Application, snapshot: Path) -> None:
    with app.store.read() as work:
        names = [account.name for account in work.accounts.every()]
    for name in names:
        # One account at a time: while one learns, the others go on.
        with _unchanged(app, name):
            _link_tree(app.state_dir / MODELS / name, snapshot / MODELS / name)


def _unchanged(app: Application, owner: str) -> AbstractContextManager[None]:
    """Nobody writes an account's models, or those that several share, meanwhile."""
    if is_shared(owner):
        return model_lock(app.state_dir, owner.removeprefix(SIGN))
    return account_lock(app.state_dir, owner, on_wait=app.on_wait)


def _link_tree(source: Path, target: Path) -> None:
    """The same files under another name; no symbolic links, and nothing that is half written.

    Model directories never change, and pointers are replaced, not rewritten.
    """
    for root, directories, names in os.walk(source):
        directories[:] = [name for name in directories if not name.endswith(".part")]
        place = target / Path(root).relative_to(source)
        place.mkdir(parents=True, mode=0o700, exist_ok=True)
        for name in names:
            path = Path(root) / name
            if path.is_file() and not path.is_symlink() and not name.endswith(".part"):
                _link(path, place / name)


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # a file system without hard links
        shutil.copy2(path, target)


def _take_database(store: Store, snapshot: Path) -> tuple[AccountInBackup, ...]:
    store.copy_to(snapshot / DATABASE_NAME)
    copy = Store.open(snapshot)
    try:
        with copy.write() as work:
            accounts = work.accounts.every()
            for account in accounts:
                versions = Registry(snapshot / MODELS / account.name).versions()
                work.models.drop_newer(account, [info.version for info in versions])
            work.commit()
            return tuple(contained(work, account, snapshot) for account in accounts)
    finally:
        copy.close()


def contained(work: UnitOfWork, account: Account, directory: Path) -> AccountInBackup:
    """What there is of an account in the copy in `directory`."""
    registry = Registry(directory / MODELS / account.name)
    return AccountInBackup(
        account.name, work.examples.count(account), len(registry.versions()), registry.current()
    )


def _files(snapshot: Path) -> Iterator[tuple[str, Path]]:
    """Name in the archive and place of every file, in a fixed order."""
    for path in sorted(snapshot.rglob("*")):
        if path.is_file():
            yield path.relative_to(snapshot).as_posix(), path
