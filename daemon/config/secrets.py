"""Passwords and what else is secret: where it is looked for, and how it is kept in the keyring.

The only module that imports keyring. The order is: systemd credential, the file that the
configuration names, keyring; the first two work where nobody is logged in, which a keyring
mostly does not.

| secret | credential | file | keyring entry |
|---|---|---|---|
| password | `inboxd.NAME.password` | `password_file` | `NAME` |
| client secret | `inboxd.NAME.client_secret` | `client_secret_file` | `NAME:client_secret` |
| address of the webhook | `inboxd.notices_url` | `url_file` | `notices:url` |
| of the database | `inboxd.database_password` | `database_password_file` | `database:password` |
| key of the tokens | `inboxd.token_key` | `key_file` | none: `NAME:tokens` are the tokens |
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import keyring
from keyring.errors import KeyringError, NoKeyringError

from daemon.config.settings import AccountSettings, StateSettings
from daemon.errors import SecretMissing

SERVICE = "inboxd"
"""The service name of our entries in the keyring; the user name is the account's name."""

TOKEN_KEY = "inboxd.token_key"  # noqa: S105 - the name of a credential
"""One key for the tokens of all accounts."""

WEBHOOK_URL = "inboxd.notices_url"
"""The systemd credential that holds the address of the webhook."""
DATABASE_PASSWORD = "inboxd.database_password"  # noqa: S105 - the name of a credential
DATABASE_ENTRY = "database:password"
"""Its entry in the keyring; no account's name has a colon."""

CONTAINER_SECRETS = (Path("/run/secrets"), Path("/var/run/secrets"))
"""Container runtimes mount secrets here, for one container only but readable by all in it."""

_LARGEST_FILE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Secret:
    """A password or token that does not show itself in logs, tracebacks or `repr`."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        """The password itself, for the login and for nothing else."""
        return self._value


class KeyringUseless(Exception):
    """The keyring does not work here; the text says why, and holds no secret."""


class _NotHere(Exception):
    """This place has no usable password; the text says why."""


def find_password(account_name: str, account: AccountSettings) -> Secret:
    """The password of an account from the first place that has one.

    Raises `SecretMissing`, naming each place and why it did not help.
    """
    found = _find(
        (password_credential(account_name), account_name),
        ("password_file", account.password_file),
        account_name,
    )
    if isinstance(found, Secret):
        return found
    raise SecretMissing(
        f"No password for the account {account_name}. Looked at:\n{_lines(found)}",
        next_step=_ways_that_work(account_name),
    )


def password_credential(account_name: str) -> str:
    """The systemd credential that holds an account's password."""
    return f"inboxd.{account_name}.password"


def client_secret_credential(account_name: str) -> str:
    """The systemd credential that holds the client secret of an account's provider."""
    return f"inboxd.{account_name}.client_secret"


def find_client_secret(account_name: str, account: AccountSettings) -> Secret:
    """The secret that the provider gave to inboxd, where it gave one.

    Raises `SecretMissing`, naming each place and why it did not help.
    """
    credential = client_secret_credential(account_name)
    entry = f"{account_name}:client_secret"
    file = account.oauth.client_secret_file
    found = _find((credential,), ("client_secret_file", file), entry)
    if isinstance(found, Secret):
        return found
    raise SecretMissing(
        f"No client secret for the account {account_name}. Looked at:\n{_lines(found)}",
        next_step="Write the client secret into a file that only you can read (chmod 600) and "
        f"name it as client_secret_file in [accounts.{account_name}.oauth], or give the service "
        f"a systemd credential: LoadCredential={credential}:/path/to/file",
    )


def find_webhook_url(url_file: Path | None) -> Secret:
    """The address to which notices are posted; whoever knows it may be able to read them.

    Raises `SecretMissing`, naming each place and why it did not help.
    """
    found = _find((WEBHOOK_URL,), ("url_file", url_file), "notices:url")
    if isinstance(found, Secret):
        return found
    raise SecretMissing(
        f"No address for the webhook of the notices. Looked at:\n{_lines(found)}",
        next_step="Write the address into a file that only you can read (chmod 600) and name it "
        "as url_file in [notices], or give the service a systemd credential: "
        f"LoadCredential={WEBHOOK_URL}:/path/to/file",
    )


def has_client_secret(account_name: str, account: AccountSettings) -> bool:
    """Whether a place is set up for one; public clients have none, which is no fault.

    Only what was set up counts: an entry in the keyring is there or not.
    """
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = client_secret_credential(account_name)
    if account.oauth.client_secret_file is not None:
        return True
    if directory and (Path(directory) / credential).exists():
        return True
    with contextlib.suppress(_NotHere):
        _read_keyring(f"{account_name}:client_secret")
        return True
    return False


def find_token_key(account_name: str, account: AccountSettings) -> Secret | None:
    """The key under which tokens are kept in a file, None when none is set up.

    Raises `SecretMissing` when one is set up and cannot be used: tokens must not quietly go to
    another place.
    """
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(directory) / TOKEN_KEY if directory else None
    if path is None or not path.exists():
        path = account.oauth.key_file
    if path is None:
        return None
    try:
        return _read_file(path)
    except _NotHere as reason:
        raise SecretMissing(
            f"The key of the tokens of the account {account_name} cannot be used: "
            f"{path}: {reason}.",
            next_step=token_places(account_name),
        ) from reason


def find_database_password(state: StateSettings) -> Secret | None:
    """The password of the database server; None where none is set up, as peer authentication and
    certificates need none.

    Raises `SecretMissing` when a place for it is set up and cannot be used.
    """
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(directory) / DATABASE_PASSWORD if directory else None
    if path is None or not path.exists():
        path = state.database_password_file
    if path is None:
        with contextlib.suppress(_NotHere):
            return _read_keyring(DATABASE_ENTRY)
        return None
    try:
        return _read_file(path)
    except _NotHere as reason:
        raise SecretMissing(
            f"The password of the database cannot be used: {path}: {reason}.",
            next_step="Write it into a file that only you can read (chmod 600) and name it as "
            "database_password_file in [state], or give the service a systemd credential: "
            f"LoadCredential={DATABASE_PASSWORD}:/path/to/file",
        ) from reason


def token_places(account_name: str) -> str:
    """The two ways of keeping tokens that work without a keyring."""
    return (
        "Without a keyring, tokens are kept encrypted under a key of yours. Make one (umask 077; "
        f"openssl rand -base64 32 > FILE) and name the file as key_file in "
        f"[accounts.{account_name}.oauth], or give the service a systemd credential: "
        f"LoadCredential={TOKEN_KEY}:/path/to/file"
    )


def read_entry(entry: str) -> Secret | None:
    """What the keyring holds under a user name, None when it holds nothing.

    Raises `KeyringUseless`, with the reason.
    """
    try:
        kept = keyring.get_password(SERVICE, entry)
    except Exception as error:  # backends are plug-ins, each with its own errors
        raise KeyringUseless(_keyring_trouble(error)) from error
    return Secret(kept) if kept else None


def store_entry(entry: str, secret: Secret) -> None:
    """Keep it in the keyring of the user who runs this. Raises `KeyringUseless`."""
    try:
        keyring.set_password(SERVICE, entry, secret.reveal())
        kept = keyring.get_password(SERVICE, entry)
    except Exception as error:  # backends are plug-ins, each with its own errors
        raise KeyringUseless(_keyring_trouble(error)) from error
    if kept != secret.reveal():  # keyring's null backend takes everything and keeps nothing
        raise KeyringUseless(f"{_backend_name()} does not keep what it is given")


def delete_entry(entry: str) -> None:
    """Forget it. Raises `KeyringUseless`; an entry that is not there is no error."""
    try:
        if keyring.get_password(SERVICE, entry) is not None:
            keyring.delete_password(SERVICE, entry)
    except Exception as error:  # backends are plug-ins, each with its own errors
        raise KeyringUseless(_keyring_trouble(error)) from error


def store_password(account_name: str, secret: Secret) -> None:
    """Keep the password in the keyring of the user who runs this.

    Raises `SecretMissing` when there is no keyring that keeps it; nothing is stored then.
    """
    try:
        store_entry(account_name, secret)
    except KeyringUseless as error:
        raise _not_stored(account_name, str(error)) from error


def _find(
    credentials: tuple[str, ...], file: tuple[str, Path | None], entry: str
) -> Secret | list[str]:
    """The secret from the first place that has it, or why each place did not help."""
    reasons: list[str] = []
    for place, path in _files(credentials, file):
        if path is None:
            reasons.append(place)
            continue
        try:
            return _read_file(path)
        except _NotHere as reason:
            reasons.append(f"{place} {path}: {reason}")
    try:
        return _read_keyring(entry)
    except _NotHere as reason:
        reasons.append(f'keyring, service "{SERVICE}", user "{entry}": {reason}')
    return reasons


def _lines(reasons: list[str]) -> str:
    return "\n".join(f"  - {reason}" for reason in reasons)


def _files(
    credentials: tuple[str, ...], file: tuple[str, Path | None]
) -> Iterator[tuple[str, Path | None]]:
    """The files to try, each with the kind of place; None for a place that is not set up."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")  # systemd.exec(5), LoadCredential=
    if directory:
        for name in credentials:
            yield "systemd credential", Path(directory) / name
    else:
        yield "systemd credential: none given ($CREDENTIALS_DIRECTORY is not set)", None
    option, path = file
    if path is not None:
        yield option, path
    else:
        yield f"{option}: not set in the configuration", None


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
        raise _NotHere("is too large for a secret")
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


def _read_keyring(entry: str) -> Secret:
    try:
        found = read_entry(entry)
    except KeyringUseless as error:
        raise _NotHere(str(error)) from error
    if found is None:
        raise _NotHere("has no such entry")
    return found


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
        f"LoadCredential={password_credential(account_name)}:/path/to/file"
    )
