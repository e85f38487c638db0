"""First set-up: try the answers against the server, then write a commented configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from daemon.config.load import Config, load_config
from daemon.config.render import render_config
from daemon.config.secrets import Secret, store_password
from daemon.config.settings import AccountSettings
from daemon.errors import ConfigError, ConfigFault, SecretMissing
from daemon.mailbox.port import Mailbox
from daemon.sorting.folders import FolderPatterns
from daemon.use_cases.check import FolderCheck, list_folders

Open = Callable[[AccountSettings, Secret], Mailbox]


@dataclass(frozen=True, slots=True)
class Probe:
    """What the server said to the first login."""

    folders: tuple[FolderCheck, ...]
    moves_by_move: bool
    idle: bool


def probe(open_mailbox: Open, account: AccountSettings, password: Secret) -> Probe:
    """Log in and list the folders with the roles they would have. Raises `MailboxError`."""
    mailbox = open_mailbox(account, password)
    try:
        patterns = FolderPatterns(
            account.folders.inbox, account.folders.labels, account.folders.neutral
        )
        capabilities = mailbox.capabilities
        return Probe(tuple(list_folders(mailbox, patterns)), capabilities.move, capabilities.idle)
    finally:
        mailbox.close()


def create_folders(
    open_mailbox: Open, account: AccountSettings, password: Secret, folders: Iterable[str]
) -> None:
    """Make the folders on the server; one that exists is fine. Raises `MailboxError`."""
    mailbox = open_mailbox(account, password)
    try:
        for folder in folders:
            mailbox.create(folder)
    finally:
        mailbox.close()


def keep_password(name: str, password: Secret, directory: Path) -> Path | None:
    """Into the keyring; where none works, into a file that only this user may read.

    Returns the file, or None when the keyring took it.
    """
    try:
        store_password(name, password)
    except SecretMissing:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / f"{name}.password"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)
            file.write(password.reveal() + "\n")
        return path
    return None


def write_config(
    path: Path, name: str, account: AccountSettings, *, state_dir: Path | None, force: bool
) -> Config:
    """Write the configuration (to the side, then renamed) and read it back.

    Raises `ConfigError` when the file exists and `force` is not given, or cannot be written.
    """
    if path.exists() and not force:
        raise ConfigError(
            f"{path} exists.",
            (ConfigFault("--output", "the file exists", "Name another file, or add --force."),),
        )
    content = render_config({name: account}, state_dir=state_dir)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_text(content, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}.",
            (ConfigFault("--output", "not writable", "Name a file in a directory of yours."),),
        ) from error
    return load_config(path)
