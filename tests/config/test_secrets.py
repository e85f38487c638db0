"""Where passwords are looked for, and that they do not show themselves."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null

from daemon.config import secrets
from daemon.config.secrets import Secret, find_password, store_password
from daemon.config.settings import AccountSettings
from daemon.errors import SecretMissing
from tests.support.memory_keyring import MemoryKeyring


class BrokenKeyring(MemoryKeyring):
    """A backend whose service has gone away, with an error of its own making."""

    def get_password(self, service: str, username: str) -> str | None:
        """Fail as a D-Bus binding does: with what derives from nothing but Exception."""
        raise LookupError("no reply for secret hunter2")


@pytest.fixture(autouse=True)
def memory() -> Iterator[MemoryKeyring]:
    """A keyring without entries in place of the real one."""
    before = keyring.get_keyring()
    backend = MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


def account(password_file: Path | None = None) -> AccountSettings:
    """An account that differs by its password file."""
    return AccountSettings(host="imap.example.org", username="alice", password_file=password_file)


def private_file(path: Path, content: bytes, mode: int = 0o600) -> Path:
    """Write a file with this mode, whatever the umask."""
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user may pass through, as /etc; pytest's own are closed."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name).resolve()
        path.chmod(0o755)
        if not all(parent.stat().st_mode & 0o001 for parent in path.parents):
            pytest.skip("temporary directories of this user are closed to others")
        yield path


def test_the_credential_comes_before_the_file_and_the_file_before_the_keyring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: MemoryKeyring
) -> None:
    """Each place counts only while those before it have nothing."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    full = private_file(credentials / "inboxd.private.password", b"from-full-name")
    short = private_file(credentials / "private", b"from-short-name")
    file = private_file(tmp_path / "pw", b"from-file")
    memory.entries["inboxd", "private"] = "from-keyring"

    found = []
    for place in (full, short, file, None):
        found.append(find_password("private", account(file)).reveal())
        if place is not None:
            place.unlink()

    assert found == ["from-full-name", "from-short-name", "from-file", "from-keyring"]


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"geheim", "geheim"),
        (b"geheim\n", "geheim"),
        (b"geheim\r\n", "geheim"),
        (b" geheim \n", " geheim "),
        ("Paßwort\n".encode(), "Paßwort"),
    ],
)
def test_one_newline_at_the_end_is_not_part_of_the_password(
    tmp_path: Path, content: bytes, password: str
) -> None:
    """Editors add one; spaces may belong to it."""
    file = private_file(tmp_path / "pw", content)

    assert find_password("private", account(file)).reveal() == password


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"one\ntwo\n", "more than one line"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * 70_000, "too large"),
    ],
)
def test_a_file_that_holds_no_password_is_named_with_the_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    """And nothing of its content is."""
    file = private_file(tmp_path / "pw", content)

    with pytest.raises(SecretMissing) as caught:
        find_password("private", account(file))

    assert f"{file}: " in str(caught.value)
    assert reason in str(caught.value)
    assert "one" not in str(caught.value).replace("none", "").replace("one line", "")


def test_a_file_that_everyone_can_read_is_refused_with_the_command_that_mends_it(
    open_directory: Path,
) -> None:
    """Neither the login nor anything else uses it."""
    file = private_file(open_directory / "pw", b"geheim", mode=0o644)

    with pytest.raises(SecretMissing, match=f"chmod 600 {file}"):
        find_password("private", account(file))


def test_an_open_file_in_a_closed_directory_is_fine(open_directory: Path) -> None:
    """Nobody else can reach it, so nobody else can read it."""
    closed = open_directory / "closed"
    closed.mkdir(mode=0o700)
    file = private_file(closed / "pw", b"geheim", mode=0o644)

    assert find_password("private", account(file)).reveal() == "geheim"


def test_a_link_is_judged_by_what_it_leads_to(open_directory: Path) -> None:
    """A private link to an open file is an open file."""
    closed = open_directory / "closed"
    closed.mkdir(mode=0o700)
    target = private_file(open_directory / "pw", b"geheim", mode=0o644)
    (closed / "link").symlink_to(target)

    with pytest.raises(SecretMissing, match="every user of this machine can read it"):
        find_password("private", account(closed / "link"))


def test_a_file_that_others_can_write_is_refused(open_directory: Path) -> None:
    """Whoever puts his own password there makes inboxd log in where he likes."""
    for mode in (0o620, 0o602):
        file = private_file(open_directory / "pw", b"geheim", mode=mode)
        with pytest.raises(SecretMissing, match="others can write it"):
            find_password("private", account(file))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to somebody else")
def test_a_group_may_read_only_what_root_set_up_for_it(open_directory: Path) -> None:
    """root:inboxd 0640 is an administrator's way; alice:users 0640 is open to all of users."""
    file = private_file(open_directory / "pw", b"geheim", mode=0o640)
    assert find_password("private", account(file)).reveal() == "geheim"
    os.chown(file, 65534, 65534)
    with pytest.raises(SecretMissing, match="everybody in its group can read it"):
        find_password("private", account(file))


@pytest.mark.skipif(os.getuid() != 0, reason="a container's secrets belong to root")
def test_a_container_secret_is_taken_as_it_is_mounted(
    open_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Container runtimes mount them readable for all, for that one container only."""
    monkeypatch.setattr(secrets, "CONTAINER_SECRETS", (open_directory,))
    file = private_file(open_directory / "pw", b"geheim", mode=0o444)

    assert find_password("private", account(file)).reveal() == "geheim"


def test_a_missing_password_names_every_place_and_what_works_without_a_desktop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All reasons in one error."""
    keyring.set_keyring(fail.Keyring())  # type: ignore[no-untyped-call]
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    missing = tmp_path / "pw"

    with pytest.raises(SecretMissing) as caught:
        find_password("private", account(missing))

    message = str(caught.value)
    assert f"{tmp_path / 'inboxd.private.password'}: does not exist" in message
    assert f"password_file {missing}: does not exist" in message
    assert "no usable keyring" in message
    assert "LoadCredential=inboxd.private.password" in caught.value.next_step
    assert "password_file in [accounts.private]" in caught.value.next_step


def test_places_that_are_not_set_up_are_named_too() -> None:
    """A user who knows none of them learns of all three."""
    with pytest.raises(SecretMissing) as caught:
        find_password("private", account())

    message = str(caught.value)
    assert "$CREDENTIALS_DIRECTORY is not set" in message
    assert "password_file: not set" in message
    assert 'service "inboxd", user "private": has no such entry' in message


def test_a_pipe_or_directory_is_not_waited_for(tmp_path: Path) -> None:
    """Opening a named pipe would wait for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    for path in (pipe, tmp_path):
        with pytest.raises(SecretMissing, match="is not a file"):
            find_password("private", account(path))


def test_a_failing_keyring_is_a_reason_and_not_a_crash() -> None:
    """Whatever its backend raises; the backend's text may hold anything and is left out."""
    keyring.set_keyring(BrokenKeyring())

    with pytest.raises(SecretMissing, match=r"the keyring failed \(LookupError\)") as caught:
        find_password("private", account())

    assert "hunter2" not in str(caught.value)


def test_a_stored_password_is_found_again(memory: MemoryKeyring) -> None:
    """Under the service inboxd and the account's name."""
    store_password("private", Secret("geheim"))

    assert memory.entries == {("inboxd", "private"): "geheim"}
    assert find_password("private", account()).reveal() == "geheim"


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        (fail.Keyring, "no usable keyring"),
        (null.Keyring, "does not keep what it is given"),
        (BrokenKeyring, "LookupError"),
    ],
)
def test_a_keyring_that_keeps_nothing_is_an_error_with_the_ways_that_work(
    backend: type[KeyringBackend], reason: str
) -> None:
    """The null backend even pretends to have stored it."""
    keyring.set_keyring(backend())

    with pytest.raises(SecretMissing, match="could not be stored") as caught:
        store_password("private", Secret("geheim"))

    assert reason in str(caught.value)
    assert "chmod 600" in caught.value.next_step
    assert "geheim" not in str(caught.value)


def test_a_secret_does_not_show_itself() -> None:
    """Not in repr, str, format strings or as part of another value."""
    secret = Secret("geheim")

    shown = f"{secret} {secret!r} {[secret]} {secret!s:>10}"

    assert "geheim" not in shown
    assert secret.reveal() == "geheim"
