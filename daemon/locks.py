"""Locks between processes: one daemon per state directory, one writer per account.

flock(2) locks vanish with their process, however it ends, so a killed daemon leaves nothing
behind that a person would have to clean up.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from daemon.errors import AlreadyRunning, StateError

INSTANCE_LOCK = "inboxd.lock"

ACCOUNT_LOCK, DEEP_LOCK = "account-{}.lock", "deep.{}.lock"
SIGN_IN_LOCK = "sign-in.{}.lock"
MODEL_LOCK = "model.{}.lock"
TUNE_LOCK = ACCOUNT_LOCK.format("tune-{}")
"""File names with the account's (the shared model's) name; `inboxd tune` locks as an account of its
own."""

POLL_SECONDS = 0.1

GRACE_SECONDS = 0.5
"""`running_process` takes the lock for an instant, which must not turn a daemon away."""


@contextmanager
def instance_lock(state_dir: Path) -> Iterator[None]:
    """Held by `inboxd run`. Raises `AlreadyRunning` when another process has it."""
    with _open(state_dir / INSTANCE_LOCK) as descriptor:
        if not _try_lock_for(descriptor, GRACE_SECONDS):
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            raise AlreadyRunning(
                f"Another inboxd (process {holder or 'unknown'}) works on {state_dir}."
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield


def running_process(state_dir: Path) -> int | None:
    """The process id of the running `inboxd run`, or None."""
    path = state_dir / INSTANCE_LOCK
    if not path.exists():
        return None
    with _open(path) as descriptor:
        if _try_lock(descriptor):
            return None
        text = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        return int(text) if text.isdigit() else None


def started_at(state_dir: Path) -> datetime:
    """When the `inboxd run` that is running, or ran last, started.

    It writes its number into the lock at its start, and nobody else writes there.
    """
    return _changed(state_dir / INSTANCE_LOCK)


def show_progress(state_dir: Path, account: str, now: datetime) -> None:
    """Note that the work on this account has taken a step; by whoever holds its lock."""
    with _open(_account_file(state_dir, account)) as descriptor:
        os.utime(descriptor, (now.timestamp(), now.timestamp()))


def last_progress(state_dir: Path, account: str) -> datetime | None:
    """When the work that is being done on this account took its last step.

    None when nobody works on it. Takes the lock for an instant, as `running_process` does.
    """
    path = _account_file(state_dir, account)
    if not path.exists():
        return None
    with _open(path) as descriptor:
        if _try_lock(descriptor):
            return None
    return _changed(path)


@contextmanager
def account_lock(
    state_dir: Path,
    account: str,
    *,
    on_wait: Callable[[], None] = lambda: None,
    at_each_try: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Held while anybody observes, moves or trains for one account; waits for its turn.

    Excludes other threads of this process too, since each call opens the file anew (flock(2):
    locks belong to open file descriptions). So it must not be taken twice by one thread.

    `on_wait` is called once when it is taken already, `at_each_try` as long as it is.
    """
    with _open(_account_file(state_dir, account)) as descriptor:
        told = False
        while not _try_lock(descriptor):
            if not told:
                on_wait()
                told = True
            at_each_try()
            time.sleep(POLL_SECONDS)
        yield


@contextmanager
def sign_in_lock(state_dir: Path, account: str) -> Iterator[None]:
    """Held while the tokens of one account are read, renewed and kept; waits for its turn.

    A provider that gives a new refresh token for each old one takes a second use of the old one
    for theft (RFC 9700, 4.14.2), so that two who renew at once would end the sign-in.
    """
    with _open(state_dir / SIGN_IN_LOCK.format(_file_name(account))) as descriptor:
        while not _try_lock(descriptor):
            time.sleep(POLL_SECONDS)
        yield


@contextmanager
def deep_lock(state_dir: Path, account: str) -> Iterator[None]:
    """Held during a deep fine-tune of one account. Raises `AlreadyRunning`, does not wait."""
    with _open(state_dir / DEEP_LOCK.format(_file_name(account))) as descriptor:
        if not _try_lock(descriptor):
            raise AlreadyRunning(
                f"A deep fine-tune of account {account} is running already.",
                next_step="Wait until it has ended, or stop the inboxd that runs it.",
            )
        yield


@contextmanager
def model_lock(
    state_dir: Path, name: str, *, at_each_try: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Held while a model that several accounts share is trained or changed; waits for its turn.

    Taken while an account's lock is held, or alone: never an account's lock after this one.
    """
    with _open(state_dir / MODEL_LOCK.format(_file_name(name))) as descriptor:
        while not _try_lock(descriptor):
            at_each_try()
            time.sleep(POLL_SECONDS)
        yield


def _account_file(state_dir: Path, account: str) -> Path:
    return state_dir / ACCOUNT_LOCK.format(_file_name(account))


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


@contextmanager
def sole_access(state_dir: Path) -> Iterator[None]:
    """Excludes the daemon and every command that is at work on an account. Raises
    `AlreadyRunning`, does not wait."""
    with instance_lock(state_dir), ExitStack() as held:
        for path in sorted(state_dir.glob("*.lock")):
            if path.name == INSTANCE_LOCK:
                continue
            if not _try_lock(held.enter_context(_open(path))):
                raise AlreadyRunning(
                    f"An inboxd command is at work on {state_dir} ({path.name} is locked).",
                    next_step="Wait until it has ended, or stop it.",
                )
        yield


@contextmanager
def backup_lock(state_dir: Path) -> Iterator[None]:
    """Held during a backup. Raises `AlreadyRunning`, does not wait."""
    with _open(state_dir / "backup.lock") as descriptor:
        if not _try_lock(descriptor):
            raise AlreadyRunning(
                f"Another backup of {state_dir} is being made.",
                next_step="Wait until it has ended.",
            )
        yield


def lock_files(state_dir: Path, account: str, *, but_not_of: Iterable[str]) -> list[Path]:
    """The lock files of an account alone: names that differ in odd characters may share one."""
    others = {name for other in but_not_of for name in _lock_names(other)}
    return [state_dir / name for name in _lock_names(account) if name not in others]


def _lock_names(account: str) -> tuple[str, ...]:
    name = _file_name(account)
    return tuple(kind.format(name) for kind in (ACCOUNT_LOCK, TUNE_LOCK, DEEP_LOCK, SIGN_IN_LOCK))


def _file_name(account: str) -> str:
    """The account's name; whatever it holds, the lock stays in the state directory."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", account)


@contextmanager
def _open(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise StateError(
            f"The lock {path} cannot be used: {error.strerror}.",
            next_step="Remove it if it is a symbolic link; set [state] dir to a directory that "
            "this user may write.",
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock_for(descriptor: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not _try_lock(descriptor):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
