"""What whoever is to help needs to know, and nothing of whose mail it is.

Nothing is blacked out here: only what is known to be harmless is put in (settings:
`daemon.use_cases.redacted`). Errors are told by their kind, never by their text.
"""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import ssl
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from daemon.config.settings import AccountSettings
from daemon.errors import ConfigError, InboxdError, ModelError, StateError
from daemon.mailbox.port import Mailbox
from daemon.store import UnitOfWork
from daemon.store.tables import ModelRow
from daemon.use_cases.application import Application
from daemon.use_cases.check import list_folders
from daemon.use_cases.health import AccountHealth, health
from daemon.use_cases.notice_failures import Undelivered, undelivered
from daemon.use_cases.redacted import Facts, Names, key_alone, what_is_set

PACKAGES = (
    "inboxd", "torch", "transformers", "tokenizers", "safetensors", "peft", "numpy", "scipy",
    "sqlalchemy", "alembic", "imapclient", "keyring", "pydantic", "pydantic-settings",
    "apscheduler", "structlog", "selectolax", "prometheus-client",
)  # fmt: skip

HARMLESS_CAPABILITY = re.compile(r"[A-Z0-9+_-]{1,40}(=[A-Z0-9_-]{1,40})?")
"""What IANA's list looks like; anything else may name the server."""

HARMLESS_SOFTWARE = re.compile(r"[^A-Za-z0-9 _().+-]+")
"""What is cut from a server's own name: a version has dots, but no colon, slash or at."""


@dataclass(frozen=True, slots=True)
class AccountExamination:
    """One account. `server` is empty when it was not asked; `failures` and `notices`, those that
    do not get through, are by kind."""

    name: str
    health: Facts
    server: Facts = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    notices: dict[str, str] = field(default_factory=dict)
    model: Facts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Examination:
    """The whole report. `trouble`: why it could not look further."""

    versions: Facts
    system: Facts
    configuration: Facts = field(default_factory=dict)
    state: Facts = field(default_factory=dict)
    accounts: tuple[AccountExamination, ...] = ()
    trouble: Facts = field(default_factory=dict)


def examine(app: Application, *, offline: bool = False) -> Examination:
    """Look at everything; an account that cannot be reached is told of and is no error.

    With `offline` no server is asked.
    """
    names = Names()
    configuration = what_is_set(app.settings, names)
    try:
        state = _state(app)
        found = health(app)
        accounts = tuple(_account(app, each, names, offline=offline) for each in found.accounts)
    except StateError as error:
        return Examination(
            _versions(), _system(), configuration, trouble={"kind": type(error).__name__}
        )
    state["daemon runs"] = found.process is not None
    return Examination(_versions(), _system(), configuration, state, accounts)


def examine_without_application(error: InboxdError) -> Examination:
    """What can be said when the program cannot even be wired: a faulty configuration, a state
    directory that cannot be used."""
    trouble: Facts = {"kind": type(error).__name__}
    if isinstance(error, ConfigError):
        names = Names()
        for number, fault in enumerate(error.faults, start=1):
            trouble[f"fault {number}"] = key_alone(fault.key, names)
    return Examination(_versions(), _system(), trouble=trouble)


# Machine ---------------------------------------------------------------------------------------


def _versions() -> Facts:
    """Of us and of what matters to us; nothing is imported for it."""
    found: Facts = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    found["sqlite"] = sqlite3.sqlite_version
    found["openssl"] = ssl.OPENSSL_VERSION
    return found


def _system() -> Facts:
    release = re.match(r"\d+(\.\d+)*", platform.release())
    found: Facts = {
        "system": platform.system(),
        "release": release[0] if release else "unknown",
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "in a virtual environment": sys.prefix != sys.base_prefix,
        "under systemd": "INVOCATION_ID" in os.environ,
        "in a container": Path("/.dockerenv").exists() or Path("/run/.containerenv").exists(),
    }
    try:
        distribution = platform.freedesktop_os_release()
    except OSError:
        return found
    found["distribution"] = f"{distribution['ID']} {distribution.get('VERSION_ID', '')}".strip()
    return found


# State -----------------------------------------------------------------------------------------


def _state(app: Application) -> Facts:
    """Sizes in megabytes, rows per table, and who may read the directory."""
    directory = app.state_dir
    with app.store.read() as work:
        rows = work.row_counts()
    files = [path for path in (directory / "models").rglob("*") if path.is_file()]
    return {
        "permissions": f"{directory.stat().st_mode & 0o777:04o}",
        "database": f"{app.store.kind} {app.store.version()}",
        "schema": app.store.schema(),
        "database MB": _megabytes(app.store.size()),
        "models MB": _megabytes(sum(map(_size, files))),
        **{f"rows of {table}": count for table, count in sorted(rows.items())},
    }


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a file that has just been removed
        return 0


def _megabytes(size: int) -> float:
    return round(size / 1_000_000, 1)


# Accounts --------------------------------------------------------------------------------------


def _account(
    app: Application, state: AccountHealth, names: Names, *, offline: bool
) -> AccountExamination:
    name = state.name
    server = {} if offline else _server(app, name, app.account(name))
    placeholder = names.of("account", name)
    with app.store.read() as work:
        account = work.accounts.get(name)
        if account is None:
            return AccountExamination(placeholder, _health(state), server)
        return AccountExamination(
            name=placeholder,
            health=_health(state),
            server=server,
            failures={
                each.kind: f"{each.count}, last {each.last_at:%Y-%m-%d %H:%M} UTC"
                for each in work.failures.of(account)
            },
            notices={
                f"by {each.channel}, {each.error}": _undelivered(each)
                for each in undelivered(app, work, account)
            },
            model=_models(app, name, _trained(app, work, name)),
        )


def _health(state: AccountHealth) -> Facts:
    return {
        "state": state.state,
        "last good pass, seconds ago": (
            round(state.age_seconds) if state.age_seconds is not None else "never"
        ),
        "error": state.error or "none",
    }


def _undelivered(each: Undelivered) -> str:
    return (
        f"{each.waiting} tried again, {each.given_up} given up, "
        f"since {each.since:%Y-%m-%d %H:%M} UTC"
    )


def _server(app: Application, name: str, settings: AccountSettings) -> Facts:
    """What the server can do, and how many folders there are; or the kind of the error."""
    try:
        with app.mailbox(name) as mailbox:
            return _look(app, name, mailbox, settings)
    except InboxdError as error:
        return {"error": type(error).__name__}


def _look(app: Application, name: str, mailbox: Mailbox, settings: AccountSettings) -> Facts:
    can = mailbox.capabilities
    harmless = sorted(each for each in can.names if HARMLESS_CAPABILITY.fullmatch(each))
    folders = list_folders(mailbox, app.patterns(name))
    private = (name, settings.host, settings.username, *(folder.name for folder in folders))
    found: Facts = {
        "software": _software(mailbox.software(), private) or "does not say",
        "capabilities": " ".join(harmless),
        "other capabilities": len(can.names) - len(harmless),
        "message id": can.server_id or "by content",
        "moves safely": can.can_move_safely,
    }
    for role, count in sorted(Counter(folder.role for folder in folders).items()):
        found[f"folders, {role}"] = count
    sizes = [folder.messages for folder in folders if folder.messages is not None]
    found["mails"] = sum(sizes)
    found["mails in the largest folder"] = max(sizes, default=0)
    return found


def _software(told: str, private: tuple[str, ...]) -> str:
    """The server's own name without what may be a host's or a person's."""
    words = HARMLESS_SOFTWARE.sub(" ", told[:80]).split()
    pieces = {piece.lower() for text in private for piece in re.split(r"[^\w-]+", text) if piece}
    return " ".join(word for word in words if pieces.isdisjoint(re.split(r"[^\w-]+", word.lower())))


def _trained(app: Application, work: UnitOfWork, name: str) -> Sequence[ModelRow]:
    owner = work.accounts.get(app.owner(name))
    return work.models.of(owner) if owner is not None else ()


def _models(app: Application, name: str, trained: Sequence[ModelRow]) -> Facts:
    """The one in use, and how many were trained."""
    found = Facts(state="none")
    try:
        current = app.models(name).current()
    except ModelError as error:
        current, found["state"] = None, type(error).__name__
    for row in trained:
        if row.version == current:
            found = _figures(row)
    for state, count in Counter(row.state.value for row in trained).items():
        found[f"trained, {state}"] = count
    return found


def _figures(row: ModelRow) -> Facts:
    """What was measured, and how many folders sort; no label is named."""
    report = row.report
    thresholds: Mapping[str, Mapping[str, Any]] = report.get("thresholds", {})
    found: Facts = {
        "state": "in use",
        "trained": f"{row.created_at:%Y-%m-%d %H:%M} UTC",
        "examples": row.examples,
        "head": str(report.get("head", "unknown")),
        "target precision": report.get("target_precision"),
        "folders": len(thresholds),
        "folders that sort": sum(t.get("threshold") is not None for t in thresholds.values()),
    }
    recent: Mapping[str, Any] = report.get("recent") or report.get("evaluation") or {}
    for figure in ("accuracy", "coverage", "moved_precision", "macro_f1"):
        if recent.get(figure) is not None:
            found[figure.replace("_", " ")] = round(recent[figure]["value"], 3)
    if recent.get("ece") is not None:
        found["calibration error"] = round(recent["ece"], 3)
    return found
