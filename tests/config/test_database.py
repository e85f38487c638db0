"""Where a PostgreSQL is, as the configuration names it, and where its password is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest

from daemon.config.secrets import DATABASE_ENTRY, SERVICE, find_database_password
from daemon.config.settings import StateSettings
from daemon.database_address import AddressFaulty, DatabaseAddress, read_address
from daemon.errors import SecretMissing
from tests.config.conftest import Faults
from tests.support.memory_keyring import MemoryKeyring

ACCOUNT = """
[accounts.private]
host = "imap.example.org"
username = "alice@example.org"
"""


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryKeyring]:
    """A keyring without entries in place of the real one, and no systemd."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    before = keyring.get_keyring()
    backend = MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (
            "postgresql://inboxd@/inboxd?host=/run/postgresql",
            DatabaseAddress("inboxd", "inboxd", socket=Path("/run/postgresql")),
        ),
        ("postgres://a@/b", DatabaseAddress("a", "b", socket=Path("/run/postgresql"))),
        (
            "postgresql://a@:5433/b?host=/tmp",
            DatabaseAddress("a", "b", 5433, socket=Path("/tmp")),
        ),
        ("postgresql://a@localhost/b", DatabaseAddress("a", "b", host="localhost")),
        ("postgresql://a@[::1]:6000/b", DatabaseAddress("a", "b", 6000, host="::1")),
        (
            "postgresql://a@db.example.org/b",
            DatabaseAddress("a", "b", host="db.example.org", tls=True),
        ),
        (
            "postgresql://a@db/b?sslrootcert=/etc/ca.pem",
            DatabaseAddress("a", "b", host="db", tls=True, ca_file=Path("/etc/ca.pem")),
        ),
        ("postgresql://a@db/b?sslmode=disable", DatabaseAddress("a", "b", host="db")),
        (
            "postgresql://a@127.0.0.1/b?sslmode=verify-full",
            DatabaseAddress("a", "b", host="127.0.0.1", tls=True),
        ),
    ],
)
def test_an_address_says_where_and_how(url: str, address: DatabaseAddress) -> None:
    """Encrypted and verified, unless it is this machine or somebody says otherwise."""
    assert read_address(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "mysql://a@b/c",
        "postgresql:a@b/c",
        "postgresql://b/c",
        "postgresql://a@b",
        "postgresql://a@b/c/d",
        "postgresql://a@b:port/c",
        "postgresql://a@b:99999/c",
        "postgresql://a@b/c#d",
        "postgresql://a@b/c?sslmode=prefer",
        "postgresql://a@b/c?password=geheim",
        "postgresql://a@b/c?host=/run&host=/tmp",
        "postgresql://a@b/c?host=/run",
        "postgresql://a@b/c?sslmode",
        "postgresql://a@b/c?sslrootcert=ca.pem",
        "postgresql://a@b/c?sslrootcert=",
        "postgresql://a@b/c?sslmode=disable&sslrootcert=/etc/ca.pem",
        "postgresql://a@localhost/c?sslrootcert=/etc/ca.pem",
        "postgresql://[a@b/c",
        "",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    """With what to write instead, and without quoting it: it might hold a password."""
    with pytest.raises(AddressFaulty) as caught:
        read_address(url)
    assert "geheim" not in caught.value.problem + caught.value.mend


def test_a_password_in_the_address_is_refused_and_not_quoted(faults_in: Faults) -> None:
    """The fault names the option for it."""
    faults = faults_in(f'[state]\ndatabase = "postgresql://a:geheim@db/b"\n{ACCOUNT}')
    [(key, fault)] = faults.items()
    assert key == "state.database"
    assert "password" in fault.problem
    assert "database_password_file" in fault.mend
    assert "geheim" not in fault.problem + fault.mend


def test_the_password_comes_from_credential_file_or_keyring_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any of them there is none, which is no fault."""
    assert find_database_password(StateSettings()) is None
    keyring.set_password(SERVICE, DATABASE_ENTRY, "from keyring")
    file = tmp_path / "password"
    file.write_text("from file\n")
    file.chmod(0o600)
    state = StateSettings(database_password_file=file)
    found = [find_database_password(StateSettings()), find_database_password(state)]
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "inboxd.database_password").write_text("from systemd\n")
    (credentials / "inboxd.database_password").chmod(0o600)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    found.append(find_database_password(state))

    passwords = [each.reveal() for each in found if each is not None]
    assert passwords == ["from keyring", "from file", "from systemd"]
    assert "from" not in repr(found)


def test_a_password_file_that_is_set_and_useless_is_an_error(tmp_path: Path) -> None:
    """inboxd does not quietly try without."""
    with pytest.raises(SecretMissing, match="does not exist") as caught:
        find_database_password(StateSettings(database_password_file=tmp_path / "nix"))
    assert "inboxd.database_password" in caught.value.next_step
