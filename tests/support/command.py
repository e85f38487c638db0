"""The installed `inboxd` command, run as its users run it, in a home of its own.

    home = Home(tmp_path, cache_dir=real_encoder_cache())
    home.configure(server.port, "alice", "secret", mode="sort")
    home.run("check")                    # CompletedProcess with text output
    home.json("status")                  # what --json printed

Nothing of the machine's user is seen or touched: HOME and the XDG places lie in the directory,
and the keyring is one that always fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).parent / "inboxd"
"""The console script of the environment that runs the tests."""

TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class Home:
    """One user's home directory. `cache_dir` is where the encoder is kept; without it commands
    that need an encoder would convert their own. `command` is the inboxd that is meant."""

    root: Path
    cache_dir: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    command: Path = COMMAND

    @property
    def config(self) -> Path:
        """Where the configuration is looked for first."""
        return self.root / "config" / "inboxd" / "config.toml"

    @property
    def state_dir(self) -> Path:
        """Database, models and locks."""
        return self.root / "state"

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.state_dir / "inboxd.sqlite3"

    @property
    def password_file(self) -> Path:
        """Where `configure` puts the password."""
        return self.root / "password"

    def configure(
        self, port: int, username: str, password: str, *, mode: str = "sort", extra: str = ""
    ) -> None:
        """Write a configuration for the account "private" on this machine; `extra` is TOML
        that follows."""
        self.password_file.write_text(f"{password}\n")
        self.password_file.chmod(0o600)
        self.write_config(
            f"""
[state]
dir = "{self.state_dir}"

[model]
target_precision = 0.8

[accounts.private]
host = "127.0.0.1"
port = {port}
tls = "none"
username = "{username}"
password_file = "{self.password_file}"
mode = "{mode}"
poll_seconds = 1
{extra}
"""
        )

    def write_config(self, text: str) -> None:
        """Write exactly this configuration."""
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(text, encoding="utf-8")

    def run(
        self, *arguments: str, typed: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the command to its end; `typed` is its standard input."""
        return subprocess.run(
            [self.command, *arguments],
            input=typed,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=self.environment(variables),
            cwd=self.root,
            timeout=TIMEOUT_SECONDS,
            check=False,
            # Without a terminal of its own: passwords are read from `typed`.
            start_new_session=True,
        )

    def ok(self, *arguments: str, **variables: str) -> str:
        """Run the command, expect exit code 0; returns its standard output."""
        done = self.run(*arguments, **variables)
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *arguments: str, **variables: str) -> Any:
        """Run the command with --json, expect exit code 0; returns the parsed document."""
        return json.loads(self.ok(*arguments, "--json", **variables))

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start the command and leave it running; its log lines come on `stderr`."""
        return subprocess.Popen(
            [self.command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            env=self.environment(variables),
            cwd=self.root,
        )

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Only what is needed to find programs, and places below `root`."""
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.root),
            "XDG_CONFIG_HOME": str(self.root / "config"),
            "XDG_STATE_HOME": str(self.root / "local-state"),
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            # Wide enough that no table breaks a value that a test looks for.
            "COLUMNS": "200",
        }
        if self.cache_dir is not None:
            environment["INBOXD_MODEL__CACHE_DIR"] = str(self.cache_dir)
        return {**environment, **self.variables, **variables}
