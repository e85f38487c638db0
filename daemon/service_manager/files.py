"""The file of a service: known as ours by a checksum in it, written to the side and renamed.

A file of somebody else, or one of ours that a person has changed, is never written over and never
removed.
"""

from __future__ import annotations

import enum
import hashlib
import os
import re
import tempfile
from pathlib import Path

from daemon.errors import ServiceError

_MARK = re.compile(r"Written by inboxd service install; checksum ([0-9a-f]{64})")


class Ownership(enum.StrEnum):
    """Whose the file is: nobody's, ours, ours but changed since, somebody else's."""

    ABSENT = "absent"
    OURS = "ours"
    CHANGED = "changed"
    FOREIGN = "foreign"


def signed(text: str) -> str:
    """`text` with a comment that tells later that it is ours, and whether it was changed."""
    mark = f"Written by inboxd service install; checksum {_checksum(text)}"
    if text.startswith("<?xml"):
        first, rest = text.split("\n", 1)
        return f"{first}\n<!-- {mark} -->\n{rest}"
    return f"# {mark}\n{text}"


def ownership(path: Path) -> Ownership:
    """Whose file lies at `path`. Raises `ServiceError` when it cannot be read."""
    if path.is_symlink():  # an alias, or a masked unit (a link to /dev/null)
        return Ownership.FOREIGN
    text = read(path)
    if text is None:
        return Ownership.ABSENT
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines[:2]):
        if found := _MARK.search(line):
            rest = "".join(lines[:number] + lines[number + 1 :])
            return Ownership.OURS if _checksum(rest) == found[1] else Ownership.CHANGED
    return Ownership.FOREIGN


def read(path: Path) -> str | None:
    """The text at `path`, None when there is no file. Raises `ServiceError`."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _trouble(path, "read", error) from error


def write(path: Path, text: str) -> None:
    """Put `text` there at once or not at all. Raises `ServiceError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        beside = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.chmod(0o644)  # the system's manager reads it, and there is nothing secret in it
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise _trouble(path, "written", error) from error


def remove(path: Path) -> None:
    """Raises `ServiceError`."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _trouble(path, "removed", error) from error


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _trouble(path: Path, what: str, error: OSError) -> ServiceError:
    next_step = (
        "Run it as an administrator (sudo), or install a service of your own with --user."
        if isinstance(error, PermissionError)
        else f"See to it that {path.parent} can be written, and run the command again."
    )
    return ServiceError(
        f"{path} cannot be {what}: {error.strerror or type(error).__name__}.", next_step=next_step
    )
