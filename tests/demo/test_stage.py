"""The demo's own place: private, temporary, and out of reach of the person's real accounts."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from daemon.demo.server import MailServer
from daemon.demo.stage import ACCOUNT, application, temporary_directory


@pytest.fixture
def tmp_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary directories are made in this test."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_the_directory_is_private_and_goes_with_the_block(tmp_root: Path) -> None:
    """Also when the block ends by an exception."""
    with suppress(KeyboardInterrupt), temporary_directory(keep=False) as directory:
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        (directory / "file").touch()
        raise KeyboardInterrupt
    assert list(tmp_root.iterdir()) == []


def test_a_kept_directory_stays(tmp_root: Path) -> None:
    """For those who want to look into it."""
    with temporary_directory(keep=True) as directory:
        (directory / "file").touch()
    assert (directory / "file").exists()


def test_accounts_and_state_of_the_environment_do_not_come_into_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container's INBOXD_… variables would win over the demo's configuration file; only those
    of the model do, since they say how this machine computes."""
    monkeypatch.setenv("INBOXD_ACCOUNTS__PRIVATE__HOST", "imap.example.org")
    monkeypatch.setenv("INBOXD_ACCOUNTS__DEMO__MODE", "observe")
    monkeypatch.setenv("INBOXD_STATE__DIR", str(tmp_path / "real"))
    monkeypatch.setenv("INBOXD_MODEL__MAX_TOKENS", "64")
    monkeypatch.setenv("INBOXD_STATE_DIR", "a mistake that would be reported as one")
    with MailServer() as server, application(tmp_path, server) as app:
        settings = app.settings
    assert list(settings.accounts) == [ACCOUNT]
    assert settings.accounts[ACCOUNT].mode.value == "sort"
    assert settings.accounts[ACCOUNT].host == "127.0.0.1"
    assert settings.state.dir == tmp_path / "state"
    assert settings.model.max_tokens == 64
    assert os.environ["INBOXD_ACCOUNTS__PRIVATE__HOST"] == "imap.example.org"
    assert not (tmp_path / "real").exists()
