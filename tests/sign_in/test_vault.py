"""Tokens are kept where they should be, as a whole or not at all."""

from __future__ import annotations

import base64
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import keyring
import pytest
from keyring.backends import fail, null

from daemon.config.settings import AccountSettings
from daemon.errors import SecretMissing, SignInNeeded, StateError
from daemon.sign_in.tokens import Tokens, read_grant
from daemon.sign_in.vault import FileVault, KeyringVault, Vault, open_vault
from tests.sign_in.conftest import START
from tests.support.memory_keyring import MemoryKeyring

KEY = base64.b64encode(bytes(range(32))).decode()


def tokens(name: str) -> Tokens:
    """Tokens that differ by their name."""
    answer = {"access_token": f"access-{name}", "refresh_token": f"refresh-{name}"}
    return read_grant(answer, START)


def account(key_file: Path | None = None) -> AccountSettings:
    """An account that differs by its key file."""
    return AccountSettings.model_validate(
        {
            "host": "imap.example.org",
            "username": "alice",
            "sign_in": "microsoft",
            "oauth": {"client_id": "id", "key_file": key_file},
        }
    )


def key_file(directory: Path, content: str = KEY) -> Path:
    """A file with a key that only this user may read."""
    path = directory / "token-key"
    path.write_text(content + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture(params=["keyring", "file"])
def vault(request: pytest.FixtureRequest, tmp_path: Path) -> Vault:
    """Each kind."""
    file = key_file(tmp_path) if request.param == "file" else None
    found = open_vault("private", account(file), tmp_path / "state")
    assert isinstance(found, KeyringVault if file is None else FileVault)
    return found


def test_what_was_written_is_read_and_what_is_forgotten_is_gone(vault: Vault) -> None:
    """The contract of both vaults."""
    vault.check()
    assert vault.read() is None
    vault.write(tokens("a"))
    assert vault.read() == tokens("a")
    vault.check()
    vault.write(tokens("b"))
    assert vault.read() == tokens("b")
    vault.forget()
    vault.forget()
    assert vault.read() is None


def test_the_keyring_entry_is_not_that_of_the_password(memory: MemoryKeyring) -> None:
    """Neither replaces the other."""
    KeyringVault("private").write(tokens("a"))
    KeyringVault("private").check()
    assert set(memory.entries) == {("inboxd", "private:tokens")}


def test_the_file_is_private_and_shows_no_token(tmp_path: Path) -> None:
    """Mode 0600 in a directory 0700, whatever the umask; nothing readable in it."""
    vault = open_vault("private", account(key_file(tmp_path)), tmp_path / "state")
    before = os.umask(0)
    try:
        vault.write(tokens("a"))
    finally:
        os.umask(before)
    [path] = (tmp_path / "state" / "sign-in").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert b"access-a" not in path.read_bytes()
    assert b"access-a" not in base64.urlsafe_b64decode(path.read_bytes())


def test_another_key_needs_a_new_sign_in(tmp_path: Path) -> None:
    """So does a file that somebody has changed; the error says which file."""
    state = tmp_path / "state"
    open_vault("private", account(key_file(tmp_path)), state).write(tokens("a"))
    other = base64.b64encode(bytes(32)).decode()
    with pytest.raises(SignInNeeded, match="under another key") as caught:
        open_vault("private", account(key_file(tmp_path, other)), state).read()
    assert caught.value.next_step == "Run: inboxd login private"
    (state / "sign-in" / "private.tokens").write_bytes(b"\0\xff")
    with pytest.raises(SignInNeeded):
        open_vault("private", account(key_file(tmp_path)), state).read()


@pytest.mark.parametrize("content", ["", "hunter2", KEY[:-4], KEY + "AAAA", "ö" * 44, "=" * 44])
def test_what_is_no_key_is_refused_with_the_command_that_makes_one(
    tmp_path: Path, content: str
) -> None:
    """A password is no key: it could be guessed. It is not repeated either."""
    with pytest.raises(SecretMissing) as caught:
        open_vault("private", account(key_file(tmp_path, content)), tmp_path)
    assert "openssl rand -base64 32" in caught.value.next_step
    assert "hunter2" not in str(caught.value)


def test_a_key_for_urls_is_the_same_key(tmp_path: Path) -> None:
    """Python's and OpenSSL's spelling of base64 differ in two characters."""
    raw = b"\xfb\xff" * 16
    state = tmp_path / "state"
    standard, for_urls = base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()
    open_vault("private", account(key_file(tmp_path, standard)), state).write(tokens("a"))
    found = open_vault("private", account(key_file(tmp_path, for_urls)), state).read()
    assert found == tokens("a")


def test_the_systemd_credential_comes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: MemoryKeyring
) -> None:
    """As with passwords; the keyring is not even asked."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    credential = tmp_path / "inboxd.token_key"
    credential.write_text(KEY)
    credential.chmod(0o400)
    unusable = tmp_path / "missing"
    vault = open_vault("private", account(unusable), tmp_path / "state")
    vault.write(tokens("a"))
    assert vault.read() == tokens("a")
    assert memory.entries == {}


def test_a_key_file_that_others_can_read_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    """The tokens must not quietly go into the keyring instead."""
    with pytest.raises(SecretMissing, match="does not exist"):
        open_vault("private", account(tmp_path / "missing"), tmp_path)


@pytest.mark.parametrize("backend", [fail.Keyring, null.Keyring])
def test_without_a_keyring_the_two_ways_that_work_are_named(backend: type) -> None:
    """Before a person is sent to the browser; the null backend keeps nothing and says nothing."""
    keyring.set_keyring(backend())
    with pytest.raises(SecretMissing) as caught:
        KeyringVault("private").check()
    assert "key_file in [accounts.private.oauth]" in caught.value.next_step
    assert "LoadCredential=inboxd.token_key:" in caught.value.next_step


def test_a_state_directory_that_cannot_be_written_is_noticed_before_the_sign_in(
    tmp_path: Path,
) -> None:
    """A file stands where the directory should be."""
    (tmp_path / "state").write_text("")
    vault = open_vault("private", account(key_file(tmp_path)), tmp_path / "state")
    with pytest.raises(StateError):
        vault.check()


_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.sign_in.test_vault import account, tokens
from daemon.sign_in.vault import open_vault

vault = open_vault("private", account(Path(sys.argv[1])), Path(sys.argv[2]))
event = sys.argv[3]
sys.addaudithook(lambda name, _: name == event and os.kill(os.getpid(), signal.SIGKILL))
vault.write(tokens("new"))
"""


@pytest.mark.parametrize("event", ["open", "os.rename"])
def test_killed_while_it_writes_the_old_tokens_are_still_there(tmp_path: Path, event: str) -> None:
    """kill -9 before the new file is opened, and when it is written and not yet in place."""
    key, state = key_file(tmp_path), tmp_path / "state"
    vault = open_vault("private", account(key), state)
    vault.write(tokens("old"))
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(key), str(state), event],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert vault.read() == tokens("old")
    part = state / "sign-in" / "private.tokens.part"
    assert part.exists() is (event == "os.rename")
    vault.write(tokens("new"))
    assert vault.read() == tokens("new")
    assert not part.exists()


def test_a_keyring_entry_that_is_not_ours_needs_a_new_sign_in(memory: MemoryKeyring) -> None:
    """Somebody has edited it."""
    memory.entries["inboxd", "private:tokens"] = "hunter2"
    with pytest.raises(SignInNeeded) as caught:
        KeyringVault("private").read()
    assert "hunter2" not in str(caught.value)
