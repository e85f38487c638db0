"""The man page and shell completion tell of the commands that there are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = CHECKOUT / "docs" / "man" / "inboxd.1"


def test_the_man_page_is_up_to_date() -> None:
    """It is made from the command line's own help."""
    command = [sys.executable, str(CHECKOUT / "tools" / "make_man.py"), "--check"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, check=False, env=environment)
    assert done.returncode == 0, "run: make man"


def test_the_man_page_has_every_command_and_no_markup_of_the_terminal() -> None:
    """Those of groups too, and the exit codes."""
    page = PAGE.read_text("utf-8")
    commands = re.findall(r"^\.SS inboxd (.+)$", page, re.MULTILINE)
    assert {"run", "backup", "restore", "forget", "models list", "held confirm"} <= set(commands)
    assert "[bold]" not in page
    assert "7 not found" in page


@pytest.mark.parametrize(
    "command", [["groff", "-man", "-ww", "-Tutf8", "-z"], ["mandoc", "-Tlint", "-Werror"]]
)
def test_the_man_page_is_set_without_a_warning(command: list[str]) -> None:
    """By whichever of the two programs is on this machine."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} here")
    done = subprocess.run([*command, PAGE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


def test_the_wheel_brings_the_man_page() -> None:
    """Where man looks for it beside the program."""
    build = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"][
        "build"
    ]
    shared = build["targets"]["wheel"]["shared-data"]
    assert shared == {"docs/man/inboxd.1": "share/man/man1/inboxd.1"}
    assert PAGE.is_file()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_complete_commands(shell: str) -> None:
    """The script that a shell sources names inboxd, and asking it completes a command."""

    def ask(instruction: str, **words: str) -> str:
        variables = {**os.environ, "PYTHONPATH": str(CHECKOUT), "_INBOXD_COMPLETE": instruction}
        code = "from daemon.cli.main import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**variables, **words},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout

    assert "inboxd" in ask(f"source_{shell}")
    words = {"COMP_WORDS": "inboxd ba", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "inboxd ba"}
    words["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    assert "backup" in ask(f"complete_{shell}", **words)
