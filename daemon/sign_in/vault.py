"""Where tokens are kept: in the keyring, or encrypted in the state directory under a key of the
user's.

The file is there for machines without a keyring. It protects tokens in copies: backups, a disk
that is passed on, another user who can read the state directory but not the key. It protects
them from nobody who can read the key too, as root and the user who runs inboxd can.

The only module that imports cryptography.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from classifier.manifest import make_private_directory, replace_private, write_private
from daemon.config.secrets import (
    KeyringUseless,
    Secret,
    delete_entry,
    find_token_key,
    read_entry,
    store_entry,
    token_places,
)
from daemon.config.settings import AccountSettings
from daemon.errors import ExtraMissing, SecretMissing, SignInNeeded, StateError
from daemon.sign_in.tokens import Tokens

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

_KEY_BYTES = 32
_UNREADABLE = "what is kept of the last sign-in cannot be read"


class Vault(Protocol):
    """Keeps the tokens of one account. What was kept stays until its successor is safe."""

    @property
    def place(self) -> str:
        """Where that is, for people."""
        ...

    def check(self) -> None:
        """Raises `SecretMissing` or `StateError` when nothing can be kept here: asked before a
        person is sent to the browser in vain."""
        ...

    def read(self) -> Tokens | None:
        """The tokens, None without any. Raises `SignInNeeded` when they cannot be read."""
        ...

    def write(self, tokens: Tokens) -> None:
        """Keep them in place of those before."""
        ...

    def forget(self) -> None:
        """Delete them."""
        ...


def open_vault(account_name: str, account: AccountSettings, state_dir: Path) -> Vault:
    """The file where a key is set up, else the keyring. Raises `SecretMissing`, `ExtraMissing`."""
    key = find_token_key(account_name, account)
    if key is None:
        return KeyringVault(account_name)
    path = token_file(account_name, state_dir)
    return FileVault(account_name, path, _fernet(account_name, key))


def token_file(account_name: str, state_dir: Path) -> Path:
    """Where tokens are kept encrypted, when they are not in the keyring."""
    return state_dir / "sign-in" / f"{account_name}.tokens"


@dataclass(frozen=True, slots=True)
class KeyringVault:
    """An entry of its own beside that of the password."""

    account: str

    @property
    def place(self) -> str:
        """The keyring."""
        return "the keyring"

    def check(self) -> None:
        """Some backends take everything and keep nothing: only a trial tells."""
        probe = f"{self.account}:probe"
        try:
            store_entry(probe, Secret("probe"))
            delete_entry(probe)
        except KeyringUseless as error:
            raise self._useless(error) from error

    def read(self) -> Tokens | None:
        """As `Vault.read`."""
        try:
            kept = read_entry(self._entry)
        except KeyringUseless as error:
            raise self._useless(error) from error
        return _read(self.account, kept.reveal()) if kept is not None else None

    def write(self, tokens: Tokens) -> None:
        """As `Vault.write`."""
        try:
            store_entry(self._entry, Secret(tokens.to_json()))
        except KeyringUseless as error:
            raise self._useless(error) from error

    def forget(self) -> None:
        """As `Vault.forget`."""
        try:
            delete_entry(self._entry)
        except KeyringUseless as error:
            raise self._useless(error) from error

    @property
    def _entry(self) -> str:
        return f"{self.account}:tokens"

    def _useless(self, reason: KeyringUseless) -> SecretMissing:
        return SecretMissing(
            f"The keyring cannot keep the tokens of the account {self.account}: {reason}.",
            next_step=token_places(self.account),
        )


@dataclass(frozen=True, slots=True)
class FileVault:
    """One file, replaced as a whole: killed at any moment, the old or the new is there."""

    account: str
    path: Path
    _fernet: Fernet

    @property
    def place(self) -> str:
        """The file."""
        return f"{self.path} (encrypted)"

    def check(self) -> None:
        """Whether the file beside it can be written."""
        try:
            make_private_directory(self.path.parent)
            write_private(self._part, b"")
            self._part.unlink()
        except OSError as error:
            raise self._trouble(error) from error

    def read(self) -> Tokens | None:
        """As `Vault.read`."""
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 - only where it is used

        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._trouble(error) from error
        try:
            text = self._fernet.decrypt(content).decode()
        except (InvalidToken, UnicodeDecodeError) as error:
            raise SignInNeeded(
                self.account, f"{_UNREADABLE}: {self.path} was written under another key"
            ) from error
        return _read(self.account, text)

    def write(self, tokens: Tokens) -> None:
        """As `Vault.write`."""
        try:
            make_private_directory(self.path.parent)
            replace_private(self.path, self._fernet.encrypt(tokens.to_json().encode()))
        except OSError as error:
            raise self._trouble(error) from error

    def forget(self) -> None:
        """As `Vault.forget`."""
        try:
            self._part.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise self._trouble(error) from error

    @property
    def _part(self) -> Path:
        return self.path.with_name(self.path.name + ".part")

    def _trouble(self, error: OSError) -> StateError:
        return StateError(
            f"The tokens of the account {self.account} cannot be kept in {self.path}: "
            f"{error.strerror}.",
            next_step="Let the user who runs inboxd read and write the [state] dir.",
        )


def _read(account: str, text: str) -> Tokens:
    try:
        return Tokens.from_json(text)
    except ValueError as error:
        raise SignInNeeded(account, _UNREADABLE) from error


def _fernet(account: str, key: Secret) -> Fernet:
    try:
        from cryptography.fernet import Fernet  # noqa: PLC0415 - only where it is used
    except ImportError as error:
        raise ExtraMissing("Keeping tokens encrypted", "oauth") from error
    try:
        # What openssl rand -base64 writes, and its form for URLs.
        raw = base64.b64decode(
            key.reveal().strip().translate(str.maketrans("-_", "+/")), None, True
        )
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise SecretMissing(
            f"The key of the tokens of the account {account} is no key: it must be {_KEY_BYTES} "
            "random bytes in base64.",
            next_step=token_places(account),
        )
    return Fernet(base64.urlsafe_b64encode(raw))
