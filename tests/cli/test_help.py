"""Help answers at once, and says what there is."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.command import Home

COMMANDS = (
    "init", "check", "learn", "run", "demo", "status", "history", "why", "undo", "train",
    "classify", "pause", "resume", "models", "examples", "folders", "held", "replay", "rules",
    "tune", "login", "logout", "health", "doctor", "backup", "restore", "forget",
    "service", "notices",
)  # fmt: skip

HEAVY = ("torch", "transformers", "sqlalchemy", "imapclient", "numpy", "keyring", "apscheduler",
         "authlib", "google.auth", "msal", "requests", "cryptography")  # fmt: skip

_IMPORTED = """
import json, sys
from daemon.cli.main import main
sys.argv = ["inboxd", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["learn", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Neither torch nor the database nor the mail library."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED, *arguments], capture_output=True, text=True, check=True
    )
    imported = json.loads(done.stdout.splitlines()[-1])

    assert [module for module in HEAVY if module in imported] == []


def test_help_names_every_command_and_every_exit_code(bare_home: Home) -> None:
    """One page from which one can begin."""
    shown = bare_home.ok("--help")

    assert [command for command in COMMANDS if f" {command} " not in shown] == []
    assert "Start with" in shown
    assert "3 no password" in shown
    assert "7 not found" in shown


@pytest.mark.parametrize(
    "command",
    [
        *COMMANDS,
        "models list",
        "models show",
        "models rollback",
        "models export",
        "service install",
        "service status",
        "service uninstall",
        "held list",
        "held confirm",
        "held discard",
        "folders list",
        "folders trust",
        "notices list",
        "notices preview",
        "notices test",
        "notices send",
        "rules list",
        "rules test",
    ],
)
def test_every_command_has_help_with_an_example(bare_home: Home, command: str) -> None:
    """An example says more than a synopsis."""
    shown = bare_home.ok(*command.split(), "--help")

    assert f"inboxd {command}" in shown
    assert "Example" in shown


def test_no_command_takes_a_password_as_an_argument(bare_home: Home) -> None:
    """Other users of the machine can read the arguments of every process."""
    done = bare_home.run("init", "--password", "s3cret")

    assert done.returncode == 2
    assert "No such option" in done.stderr
