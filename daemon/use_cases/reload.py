"""A new configuration for the running daemon, without a restart.

`inboxd reload` sends SIGHUP; the daemon reads its configuration anew, takes it or refuses it as
a whole, and leaves a note of what it did for whoever asked.
"""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from classifier.manifest import replace_private
from daemon.config.settings import Settings
from daemon.errors import NotFound, StateError
from daemon.learning.share import share_of
from daemon.locks import POLL_SECONDS, running_process
from daemon.use_cases.application import Application

RELOAD_SIGNAL = signal.SIGHUP
NOTE = "reload.json"
PATIENCE = 30.0
"""Seconds to wait for the daemon's note."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of accounts, by what a new configuration means for them.

    `changed`: to be run anew, because their settings or those of all accounts are others.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


NOTHING = Changes()


@dataclass(frozen=True, slots=True)
class Reload:
    """What the daemon did when it was told to read its configuration anew."""

    taken: bool
    at: datetime
    process: int
    changes: Changes = NOTHING
    error: str = ""
    next_step: str = ""


def compare(old: Settings, new: Settings) -> Changes:
    """What `new` means for the accounts of `old`. Raises `StateError` when it needs a restart."""
    if new.state != old.state:
        raise StateError(
            "The section [state] cannot change while inboxd runs.",
            next_step="Restart inboxd, or write the former value.",
        )
    if new.metrics.listen != old.metrics.listen:
        raise StateError(
            "[metrics] listen cannot change while inboxd runs.",
            next_step="Restart inboxd, or write the former value.",
        )
    # Logging and metrics touch no account; accounts are compared one by one.
    apart = {"accounts", "logging", "metrics"}
    same = old.model_dump(exclude=apart) == new.model_dump(exclude=apart)
    both = [name for name in new.accounts if name in old.accounts]
    unchanged = [
        name
        for name in both
        if same
        and new.accounts[name] == old.accounts[name]
        # Also when another account joined or left the model that this one shares.
        and share_of(new, name) == share_of(old, name)
    ]
    return Changes(
        added=tuple(name for name in new.accounts if name not in old.accounts),
        removed=tuple(name for name in old.accounts if name not in new.accounts),
        changed=tuple(name for name in both if name not in unchanged),
        unchanged=tuple(unchanged),
    )


def note_reload(state_dir: Path, outcome: Reload) -> None:
    """Leave a note of what came of it, in place of the one before."""
    note = json.dumps(asdict(outcome), default=datetime.isoformat)
    replace_private(state_dir / NOTE, note.encode())


def last_reload(state_dir: Path) -> Reload | None:
    """The note of the last time, None when there is none that can be read."""
    try:
        return _read(json.loads((state_dir / NOTE).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read(document: dict[str, Any]) -> Reload:
    changes = {kind: tuple(names) for kind, names in document["changes"].items()}
    at = datetime.fromisoformat(document["at"])
    return Reload(**{**document, "at": at, "changes": Changes(**changes)})


def reload(app: Application) -> Reload:
    """Have the running daemon read its configuration anew, and wait for what comes of it.

    Raises `NotFound` when none is running and `StateError` when it does not answer.
    """
    process = running_process(app.state_dir)
    if process is None:
        raise NotFound(
            "No inboxd is running on this state directory, so there is none to tell.",
            next_step="Run: inboxd run (it reads the configuration when it starts)",
        )
    before = last_reload(app.state_dir)
    _send(process)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = last_reload(app.state_dir)
        if found is not None and found != before and found.process == process:
            return found
        if running_process(app.state_dir) != process:
            raise StateError(
                f"inboxd (process {process}) ended when it was told.",
                next_step="Look at its log, and start it again: inboxd run",
            )
        time.sleep(POLL_SECONDS)
    raise StateError(
        f"inboxd (process {process}) was told, but has not answered for {PATIENCE:.0f} seconds.",
        next_step="Look at its log; restart it if it hangs.",
    )


def _send(process: int) -> None:
    try:
        os.kill(process, RELOAD_SIGNAL)
    except ProcessLookupError:
        raise NotFound("inboxd has just ended.", next_step="Run: inboxd run") from None
    except PermissionError as error:
        raise StateError(
            f"inboxd (process {process}) belongs to another user.",
            next_step="Run this as the user whose service it is, for instance with sudo.",
        ) from error
