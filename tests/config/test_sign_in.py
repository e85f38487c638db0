"""What an account that signs in with OAuth 2 has to say about itself, and its client secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backends import fail

from daemon.config.load import load_config
from daemon.config.secrets import find_client_secret, has_client_secret
from daemon.config.settings import AccountSettings, SignIn
from daemon.errors import SecretMissing
from tests.config.conftest import Faults

ACCOUNT = """
[accounts.work]
host = "mail.example.org"
username = "alice"
"""


@pytest.fixture(autouse=True)
def no_keyring() -> Iterator[None]:
    """As on a server."""
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())  # type: ignore[no-untyped-call]
    yield
    keyring.set_keyring(before)


def account(secret_file: Path | None = None) -> AccountSettings:
    """An account that differs by its client secret."""
    return AccountSettings.model_validate(
        {
            "host": "imap.example.org",
            "username": "alice",
            "sign_in": "google",
            "oauth": {"client_id": "id", "client_secret_file": secret_file},
        }
    )


def test_a_password_needs_no_oauth_section(tmp_path: Path) -> None:
    """As ever."""
    path = tmp_path / "config.toml"
    path.write_text(ACCOUNT)
    assert load_config(path).settings.accounts["work"].sign_in is SignIn.PASSWORD


def test_paths_count_from_the_file(tmp_path: Path) -> None:
    """Those of the oauth section, too."""
    path = tmp_path / "config.toml"
    path.write_text(
        f'{ACCOUNT}sign_in = "microsoft"\n[accounts.work.oauth]\nclient_id = "x"\n'
        'client_secret_file = "a"\nkey_file = "b"\nca_file = "/c"\n'
    )
    oauth = load_config(path).settings.accounts["work"].oauth
    assert oauth.client_secret_file == tmp_path / "a"
    assert oauth.key_file == tmp_path / "b"
    assert oauth.ca_file == Path("/c")


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ('sign_in = "google"', "client_id"),
        ('sign_in = "microsoft"\n[accounts.work.oauth]\ntenant = "x"', "client_id"),
        ('sign_in = "oidc"\n[accounts.work.oauth]\nclient_id = "x"', "issuer"),
    ],
)
def test_what_the_provider_must_know_is_asked_for(faults_in: Faults, text: str, lacks: str) -> None:
    """Before anything is tried."""
    fault = faults_in(ACCOUNT + text)["accounts.work.oauth"]
    assert lacks in fault.problem
    assert lacks in fault.mend


@pytest.mark.parametrize(
    "issuer",
    ["login.example.org", "http://login.example.org", "https://", "https://me:pw@x.org", "ftp://x"],
)
def test_an_issuer_is_an_encrypted_address(faults_in: Faults, issuer: str) -> None:
    """Tokens travel there; what is written is not repeated, it may hold a password."""
    faults = faults_in(
        f'{ACCOUNT}sign_in = "oidc"\n[accounts.work.oauth]\nclient_id = "x"\nissuer = "{issuer}"'
    )
    fault = faults["accounts.work.oauth.issuer"]
    assert "me:pw" not in fault.problem + fault.mend


def test_a_client_secret_has_no_place_in_the_configuration(faults_in: Faults) -> None:
    """The key that is meant is named, the value is not repeated."""
    faults = faults_in(
        f'{ACCOUNT}sign_in = "google"\n[accounts.work.oauth]\nclient_id = "x"\n'
        'client_secret = "GOCSPX-hunter2"'
    )
    fault = faults["accounts.work.oauth.client_secret"]
    assert "client_secret_file" in fault.mend
    assert "hunter2" not in fault.problem + fault.mend


def test_the_credential_comes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of the password."""
    file = tmp_path / "secret"
    file.write_text("from the file\n")
    file.chmod(0o600)
    assert find_client_secret("work", account(file)).reveal() == "from the file"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert find_client_secret("work", account(file)).reveal() == "from the file"
    credential = tmp_path / "inboxd.work.client_secret"
    credential.write_text("from systemd")
    credential.chmod(0o400)
    assert find_client_secret("work", account(file)).reveal() == "from systemd"


def test_a_client_without_a_secret_is_a_public_one(tmp_path: Path) -> None:
    """Unless a place is set up: then its absence is a fault with the ways that work."""
    assert not has_client_secret("work", account())
    assert has_client_secret("work", account(tmp_path / "missing"))
    with pytest.raises(SecretMissing, match="does not exist") as caught:
        find_client_secret("work", account(tmp_path / "missing"))
    assert "client_secret_file in [accounts.work.oauth]" in caught.value.next_step
    assert "LoadCredential=inboxd.work.client_secret:" in caught.value.next_step
