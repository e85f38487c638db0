"""Every kind of failure has its exit code, a plain message and a next step."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.command import Home
from tests.support.dovecot import Dovecot

BROKEN = """
[model]
target_precision = 7
colour = "blue"

[accounts.private]
host = "imap.example.org"
tls = "none"
poll_seconds = 0

[acounts.work]
host = "mail.example.org"
"""


def test_without_a_configuration_init_is_recommended(bare_home: Home) -> None:
    """The first thing that a new user meets."""
    done = bare_home.run("status")

    assert done.returncode == 2
    assert "inboxd init" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_configuration_is_reported_with_all_its_faults(bare_home: Home) -> None:
    """Six at once, each with its key and a mend."""
    bare_home.write_config(BROKEN)

    done = bare_home.run("check")

    keys = (
        "model.target_precision",
        "model.colour",
        "accounts.private.tls",
        "accounts.private.username",
        "accounts.private.poll_seconds",
        "acounts",
    )
    assert done.returncode == 2
    assert [key for key in keys if key not in done.stderr] == []
    assert done.stderr.count("→") == len(keys)


def test_a_configuration_that_does_not_exist_is_named(bare_home: Home) -> None:
    """Whether it was asked for by option or by variable."""
    missing = str(bare_home.root / "nowhere.toml")

    by_option = bare_home.run("--config", missing, "status")
    by_variable = bare_home.run("status", INBOXD_CONFIG=missing)

    for done in (by_option, by_variable):
        assert done.returncode == 2
        assert "nowhere.toml" in done.stderr.replace("\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["sort"],
        ["history", "--action", "eaten"],
        ["history", "--since", "yesterday"],
        ["undo"],
        ["undo", "1", "--last", "2"],
        ["learn", "--newest", "0"],
        ["--log-level", "loud", "status"],
        ["classify", "no-such-file.eml"],
    ],
)
def test_wrong_usage_is_explained(home: Home, arguments: list[str]) -> None:
    """Unknown commands, values out of range, options that exclude each other."""
    done = home.run(*arguments)

    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["run", "--once"], ["learn"], ["undo", "--last", "1"]])
def test_a_missing_password_is_reported_with_the_places_looked_at(
    home: Home, arguments: list[str]
) -> None:
    """Before anybody connects anywhere."""
    home.password_file.unlink()

    done = home.run(*arguments)

    assert done.returncode == 3
    for place in ("systemd credential", str(home.password_file), "keyring"):
        assert place in done.stderr.replace("\n", "")


def test_a_password_file_that_everyone_can_read_is_refused(home: Home) -> None:
    """With the command that mends it."""
    # Not below tmp_path: other users cannot get there, so what lies in it is no secret spilt.
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        password_file = Path(directory) / "password"
        password_file.write_text("s3cret-pässword\n", encoding="utf-8")
        password_file.chmod(0o644)

        done = home.run("run", "--once", INBOXD_ACCOUNTS__PRIVATE__PASSWORD_FILE=str(password_file))

    assert done.returncode == 3
    assert f"chmod 600 {password_file}" in done.stderr.replace("\n", "")
    assert "s3cret" not in done.stderr + done.stdout


def test_a_state_directory_that_is_a_file_cannot_be_used(home: Home) -> None:
    """Nothing is deleted to make room."""
    home.state_dir.write_text("mine")

    done = home.run("status")

    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert home.state_dir.read_text() == "mine"


def test_a_database_of_a_newer_inboxd_is_refused(home: Home) -> None:
    """And not touched."""
    home.ok("status")
    with closing(sqlite3.connect(home.database)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()

    done = home.run("status")

    assert done.returncode == 4
    assert "newer" in done.stderr


@pytest.mark.parametrize("arguments", [["run", "--once"], ["check"], ["train"]])
def test_a_server_that_is_down_is_reported(home: Home, arguments: list[str]) -> None:
    """With a next step."""
    done = home.run(*arguments)

    assert done.returncode == 5
    assert "→" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.dovecot
def test_a_refused_login_is_reported(home: Home, server: Dovecot) -> None:
    """Neither the password that was tried nor anything else secret is shown."""
    home.configure(server.port, "alice", "wr0ng-password")

    done = home.run("run", "--once")

    assert done.returncode == 5
    assert "Check username and password" in done.stderr
    assert "wr0ng" not in done.stderr + done.stdout


def test_a_failure_is_remembered_for_status(home: Home) -> None:
    """So that a person finds out why nothing happens."""
    home.run("run", "--once")

    account = home.json("status")["accounts"]["private"]

    assert account["state"] == "failing"
    assert account["error"]


def test_classifying_without_a_model_says_how_to_get_one(home: Home) -> None:
    """Before the encoder is even looked for."""
    done = home.run("classify", "-", typed="Subject: x\n\ny\n")

    assert done.returncode == 6
    assert "inboxd learn" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["why", "7"],
        ["why", "<unknown@example.org>"],
        ["undo", "7"],
        ["models", "show"],
        ["models", "rollback"],
        ["status", "--account", "work"],
        ["pause", "--account", "work"],
    ],
)
def test_what_does_not_exist_is_not_found(home: Home, arguments: list[str]) -> None:
    """Messages, models and accounts."""
    done = home.run(*arguments)

    assert done.returncode == 7
    assert "→" in done.stderr
