"""inboxd examples, without an encoder."""

from __future__ import annotations

import pytest

from tests.support.command import Home
from tests.support.dovecot import Dovecot

COMMANDS = ("check", "list", "exclude", "relabel", "restore", "export", "import")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(bare_home: Home, command: str) -> None:
    """An example says more than a synopsis."""
    shown = bare_home.ok("examples", command, "--help")

    assert "Example" in shown
    assert f"inboxd examples {command}" in shown


def test_the_limits_of_masking_are_told(bare_home: Home) -> None:
    """Nobody may take the file for anonymous."""
    shown = " ".join(bare_home.ok("examples", "export", "--help").split())

    assert "read the file before you pass it on" in shown
    assert "in the middle of a sentence" in shown


def test_without_examples_lists_are_empty_and_the_check_says_so(home: Home) -> None:
    """No server and no encoder are needed for that."""
    [report] = home.json("examples", "check")

    assert home.json("examples", "list") == []
    assert (report["account"], report["judged"], report["grade"]) == ("private", 0, "bad")
    assert "0 examples judged: bad" in home.ok("examples", "check")


@pytest.mark.parametrize(
    "arguments",
    [
        ["exclude"],
        ["restore"],
        ["relabel", "17"],
        ["export"],
        ["import"],
        ["export", "."],
        ["list", "--limit", "0"],
    ],
)
def test_wrong_usage_is_explained(home: Home, arguments: list[str]) -> None:
    """Arguments that are missing, directories for files, values out of range."""
    done = home.run("examples", *arguments)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["exclude", "1"], ["relabel", "1", "A"], ["export", "x"]])
def test_a_server_that_is_down_is_reported(home: Home, arguments: list[str]) -> None:
    """What people moved meanwhile must be known first."""
    done = home.run("examples", *arguments)

    assert done.returncode == 5
    assert "→" in done.stderr


def test_a_file_that_is_not_there_is_not_found(home: Home) -> None:
    """Before anybody connects."""
    done = home.run("examples", "import", "nothing.jsonl")

    assert done.returncode == 7
    assert "nothing.jsonl" in done.stderr.replace("\n", "")


@pytest.mark.dovecot
def test_labelling_and_excluding_a_mail_from_the_command_line(home: Home, server: Dovecot) -> None:
    """By Message-ID and by number, in words and as JSON; the list shows what came of it."""
    home.configure(server.port, server.user, server.password)
    folder = server.root / "mail.eml"
    folder.write_text("Message-ID: <one@example.org>\nSubject: x\n\ny\n", encoding="utf-8")
    server.doveadm("save", "-u", "alice", "-m", "INBOX", str(folder))

    said = home.ok("examples", "relabel", "one@example.org", "Rechnungen")
    [example] = home.json("examples", "list")
    number = str(example["message"])
    [excluded] = home.json("examples", "exclude", number)
    unknown = home.run("examples", "exclude", "4711")

    assert f"Mail {number} (Rechnungen): relabelled" in said
    assert (example["folder"], example["source"]) == ("Rechnungen", "relabelled")
    assert excluded["outcome"] == "excluded"
    assert [e["counts"] for e in home.json("examples", "list", "--excluded")] == [False]
    assert "[bug] reports" in home.run("examples", "relabel", number, "Nowhere").stderr
    assert (unknown.returncode, "4711" in unknown.stderr) == (7, True)
