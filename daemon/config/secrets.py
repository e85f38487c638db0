"""Passwords: where they are looked for, and how one is kept in the keyring.

The only module that imports keyring. The order is: systemd credential, `password_file`,
keyring; the first two work where nobody is logged in, which a keyring mostly does not.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import keyring
from keyring.errors import KeyringError, NoKeyringError

from daemon.config.settings import AccountSettings
from daemon.errors import SecretMissing

SERVICE = "inboxd"
"""The service name of our entries in the keyring; the user name is the account's name."""

CONTAINER_SECRETS = (Path("/run/secrets"), Path("/var/run/secrets"))
"""Container runtimes mount secrets here, for one container only but readable by all in it."""

_LARGEST_FILE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Secret:
    """A password that does not show itself in logs, tracebacks or `repr`."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        """The password itself, for the login and for nothing else."""
        return self._value


class _NotHere(Exception):
    """This place has no usable password; the text says why."""


def find_password(account_name: str, account: AccountSettings) -> Secret:
    """The password of an account from the first place that has one.

    Raises `SecretMissing`, naming each place and why it did not help.
    """
    reasons: list[str] = []
    for place, path in _files(account_name, account):
        if path is None:
            reasons.append(place)
            continue
        try:
            return _read_file(path)
        except _NotHere as reason:
            reasons.append(f"{place} {path}: {reason}")
    try:
        return _read_keyring(account_name)
    except _NotHere as reason:
        reasons.append(f'keyring, service "{SERVICE}", user "{account_name}": {reason}')
    raise SecretMissing(
        f"No password for the account {account_name}. Looked at:\n"
        + "\n".join(f"  - {reason}" for reason in reasons),
        next_step=_ways_that_work(account_name),
    )


def store_password(account_name: str, secret: Secret) -> None:
    """Keep the password in the keyring of the user who runs this.

    Raises `SecretMissing` when there is no keyring that keeps it; nothing is stored then.
    """
    try:
        keyring.set_password(SERVICE, account_name, secret.reveal())
        kept = keyring.get_password(SERVICE, account_name)
    except Exception as error:  # backends are plug-ins, each with its own errors
        raise _not_stored(account_name, _keyring_trouble(error)) from error
    if kept != secret.reveal():  # keyring's null backend takes everything and keeps nothing
        raise _not_stored(account_name, f"{_backend_name()} does not keep what it is given")


def _files(account_name: str, account: AccountSettings) -> Iterator[tuple[str, Path | None]]:
    """The files to try, each with the kind of place; None for a place that is not set up."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")  # systemd.exec(5), LoadCredential=
    if credentials:
        for name in (f"inboxd.{account_name}.password", account_name):
            yield "systemd credential", Path(credentials) / name
    else:
        yield "systemd credential: none given ($CREDENTIALS_DIRECTORY is not set)", None
    if account.password_file is not None:
        yield "password_file", account.password_file
    else:
        yield "password_file: not set in the configuration", None


def _read_file(path: Path) -> Secret:
    try:
        if not path.is_file():  # before opening: that would wait for ever on a named pipe
            raise _NotHere("is not a file" if path.exists() else "does not exist")
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
            fault = _open_to_others(path, os.fstat(file.fileno()))
    except OSError as error:
        raise _NotHere(_reason(error)) from error
    if fault is not None:
        raise _NotHere(fault)
    return Secret(_only_line(content))


def _only_line(content: bytes) -> str:
    if len(content) > _LARGEST_FILE:
        raise _NotHere("is too large for a password")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise _NotHere("is not UTF-8 text") from None
    line = text.removesuffix("\n").removesuffix("\r")
    if not line:
        raise _NotHere("is empty")
    if any(character in line for character in "\r\n\0"):
        raise _NotHere("holds more than one line")
    return line


def _open_to_others(path: Path, status: os.stat_result) -> str | None:
    """Who else may read or replace the file (a link: what it leads to), and the mend; else None.

    What root has set up for a group (/etc/inboxd/password, root:inboxd, 0640; a volume of
    secrets; systemd's credentials) is meant so; an ordinary user's group is everybody there.
    """
    real = path.resolve()
    me, owner, mode = os.geteuid(), status.st_uid, status.st_mode
    if me not in {0, owner} and owner != 0:
        return f"it belongs to another user; run: chown {me} {path}"
    if owner == 0 and any(real.is_relative_to(place) for place in CONTAINER_SECRETS):
        return None
    if mode & stat.S_IROTH and _all_passable(real, stat.S_IXOTH):
        return f"every user of this machine can read it; run: chmod 600 {path}"
    if mode & (stat.S_IWGRP | stat.S_IWOTH) and _all_passable(real, stat.S_IXGRP | stat.S_IXOTH):
        return f"others can write it; run: chmod 600 {path}"
    if owner != 0 and mode & stat.S_IRGRP and _all_passable(real, stat.S_IXGRP | stat.S_IXOTH):
        return f"everybody in its group can read it; run: chmod 600 {path}"
    return None


def _all_passable(path: Path, bits: int) -> bool:
    """Whether no directory above is closed to those whom `bits` stand for."""
    return all(directory.stat().st_mode & bits for directory in path.parents)


def _read_keyring(account_name: str) -> Secret:
    try:
        password = keyring.get_password(SERVICE, account_name)
    except Exception as error:  # backends are plug-ins, each with its own errors
        raise _NotHere(_keyring_trouble(error)) from error
    if not password:
        raise _NotHere("has no such entry")
    return Secret(password)


def _keyring_trouble(error: Exception) -> str:
    if isinstance(error, NoKeyringError):
        return "no usable keyring on this machine, or none without a desktop session"
    if isinstance(error, KeyringError) and str(error):
        return str(error)
    return f"the keyring failed ({type(error).__name__})"


def _backend_name() -> str:
    return type(keyring.get_keyring()).__module__


def _reason(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "this user may not read it"
    return error.strerror or type(error).__name__


def _not_stored(account_name: str, reason: str) -> SecretMissing:
    return SecretMissing(
        f"The password of the account {account_name} could not be stored: {reason}.",
        next_step=_ways_that_work(account_name),
    )


def _ways_that_work(account_name: str) -> str:
    return (
        f"Write the password into a file that only you can read (chmod 600) and name it as "
        f"password_file in [accounts.{account_name}], or give the service a systemd credential: "
        f"LoadCredential=inboxd.{account_name}.password:/path/to/file"
    )
