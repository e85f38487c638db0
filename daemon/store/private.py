"""The state directory belongs to one user: 0700, every file in it 0600.

Modes that are too wide (an old umask, a copied backup) are mended. What cannot be mended is
refused: a directory of somebody else's that others can enter, and a symbolic link in place of
the database, through which another file would be written.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from daemon.errors import StateError

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
_OTHERS = 0o077
_EVERYBODY = 0o007


def prepare_directory(directory: Path, database: Path | None) -> None:
    """Make the state directory and an empty database in it, or see to what is there. `database`
    None: it is on a server.

    Raises `StateError` for what others could read or replace, OSError for what cannot be used.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=DIRECTORY_MODE)
    _check_owner(directory)
    if database is not None:
        _create(database)
    for path, status in _everything_below(directory):
        wanted = DIRECTORY_MODE if stat.S_ISDIR(status.st_mode) else FILE_MODE
        if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) & _OTHERS:
            path.chmod(wanted)


def _check_owner(directory: Path) -> None:
    status = directory.stat()
    me = os.geteuid()
    if status.st_uid == me and stat.S_IMODE(status.st_mode) & _OTHERS:
        directory.chmod(DIRECTORY_MODE)
    elif me not in {status.st_uid, 0} and stat.S_IMODE(status.st_mode) & _EVERYBODY:
        # A volume that belongs to root and to our group is usual in containers; one that
        # everybody may enter is nobody's.
        raise StateError(
            f"The state directory {directory} belongs to another user, and others may enter it.",
            next_step="Set [state] dir to a directory of your own.",
        )


def _create(database: Path) -> None:
    """An empty private file, unless there is one; never through a symbolic link."""
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(database, flags, FILE_MODE))
    except OSError as error:
        if not database.is_symlink():
            raise
        raise StateError(
            f"{database} is a symbolic link; inboxd would write through it.",
            next_step="Remove it, and set [state] dir to the directory that holds the database.",
        ) from error


def _everything_below(directory: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Files and directories with their status; symbolic links are neither told nor followed."""
    for root, names, files in os.walk(directory, followlinks=False):
        for name in (*names, *files):
            path = Path(root) / name
            try:
                status = path.lstat()
            except FileNotFoundError:  # SQLite's -wal comes and goes
                continue
            if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
                yield path, status
