"""What the commands print before there is anything to tell, and as JSON."""

from __future__ import annotations

import pytest

from daemon.cli.output import table
from tests.support.command import Home
from tests.support.dovecot import Dovecot

PROMISED = {
    "state", "mode", "sorted", "left", "corrections", "examples", "model", "last_cycle",
}  # fmt: skip


def test_status_of_a_new_account(home: Home) -> None:
    """All keys that other programs rely on, and zeros."""
    status = home.json("status")
    account = status["accounts"]["private"]

    assert set(account) >= PROMISED
    assert (account["state"], account["mode"], account["model"]) == ("new", "sort", None)
    assert account["sorted"] == account["left"] == account["corrections"] == 0
    assert account["last_cycle"] is None
    assert status["running"] is False
    assert status["state_dir"] == str(home.state_dir)


@pytest.mark.parametrize("command", [["history"], ["models", "list"]])
def test_empty_lists_are_lists(home: Home, command: list[str]) -> None:
    """In JSON, and as a table without rows."""
    assert home.json(*command) == []
    assert "private" not in home.ok(*command)


def test_status_can_show_one_account_of_several(home: Home) -> None:
    """The others are left out, also in JSON."""
    text = home.config.read_text(encoding="utf-8")
    home.write_config(text + '\n[accounts.work]\nhost = "imap.example.org"\nusername = "w"\n')

    assert set(home.json("status")["accounts"]) == {"private", "work"}
    assert set(home.json("status", "--account", "work")["accounts"]) == {"work"}


def test_commands_for_one_account_ask_which(home: Home) -> None:
    """When there are several."""
    text = home.config.read_text(encoding="utf-8")
    home.write_config(text + '\n[accounts.work]\nhost = "imap.example.org"\nusername = "w"\n')

    done = home.run("models", "show")

    assert done.returncode == 2
    assert "--account" in done.stderr
    assert "private, work" in done.stderr


def test_pause_and_resume_survive_the_process(home: Home) -> None:
    """Twice the same is said to be so, and is no error."""
    said = [home.ok(command).strip() for command in ("pause", "pause", "resume", "resume")]

    assert said == [
        "private: paused",
        "private: already paused",
        "private: running",
        "private: already running",
    ]
    home.ok("pause")
    assert home.json("status")["accounts"]["private"]["state"] == "paused"


@pytest.mark.dovecot
def test_a_pass_without_a_model_says_so(home: Home, server: Dovecot) -> None:
    """The person's moves are noticed all the same; no encoder is needed."""
    home.configure(server.port, server.user, server.password)

    [report] = home.json("run", "--once")

    assert "inboxd learn" in report["note"]
    assert report["observation"]["noticed"] == []
    assert report["sorted"] is None


@pytest.mark.dovecot
def test_check_shows_what_the_server_can_do_and_what_the_folders_are(
    home: Home, server: Dovecot
) -> None:
    """As JSON and as tables; never the password."""
    home.configure(server.port, server.user, server.password)

    checked = home.json("check")
    shown = home.ok("check")
    [account] = checked["accounts"]
    roles = {folder["name"]: folder["role"] for folder in account["folders"]}

    assert checked["config"] == str(home.config)
    assert (account["ok"], account["moves_by"], account["idle"]) == (True, "MOVE", True)
    assert roles["INBOX"] == "inbox"
    assert roles["Rechnungen"] == "label"
    assert roles["Trash"] == "neutral"
    assert all(word in shown for word in ("Rechnungen", "UIDPLUS", "No model yet"))
    assert server.password not in shown


@pytest.mark.dovecot
def test_folder_names_are_shown_as_they_are(home: Home, server: Dovecot) -> None:
    """Square brackets are markup to the library that draws the tables."""
    home.configure(server.port, server.user, server.password)

    assert "[bug] reports" in home.ok("check")


def test_a_table_takes_any_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Even what would be an error as markup."""
    table("Folders of [/a]", ("#mails", "folder"), [(3, "[/nonsense]"), (None, "[bold]b[/bold]")])

    shown = capsys.readouterr().out
    assert "[/a]" in shown
    assert "[/nonsense]" in shown
    assert "[bold]b[/bold]" in shown
    assert "–" in shown
