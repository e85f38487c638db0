"""Where files lie when the configuration does not say."""

from __future__ import annotations

import os
from pathlib import Path


def default_state_dir() -> Path:
    """`$XDG_STATE_HOME/inboxd`, or `~/.local/state/inboxd` (XDG Base Directory, 0.8).

    A user without a home directory (a container's, a system service's) gets `/var/lib/inboxd`.
    """
    return _xdg_dir("XDG_STATE_HOME", ".local/state", Path("/var/lib/inboxd"))


def default_cache_dir() -> Path:
    """systemd's `$CACHE_DIRECTORY`, `$XDG_CACHE_HOME/inboxd`, or `~/.cache/inboxd`.

    A user without a home directory gets `/var/cache/inboxd`.
    """
    directory = os.environ.get("CACHE_DIRECTORY", "").split(":")[0]
    if Path(directory).is_absolute():
        return Path(directory)
    return _xdg_dir("XDG_CACHE_HOME", ".cache", Path("/var/cache/inboxd"))


def _xdg_dir(variable: str, below_home: str, without_home: Path) -> Path:
    base = os.environ.get(variable, "")
    if Path(base).is_absolute():
        return Path(base) / "inboxd"
    try:
        return Path.home() / below_home / "inboxd"
    except RuntimeError:
        return without_home
