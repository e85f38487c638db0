"""A configuration that a service of the system could run with, and a machine of the test's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from daemon.config.load import Config
from daemon.config.settings import Settings
from daemon.errors import ServiceError
from daemon.service_manager.control import Running
from daemon.service_manager.plan import Scope
from daemon.use_cases.service_unit import Kind, Machine


@dataclass
class FakeManager:
    """A service manager that keeps what it was told. `refuses` is the word in a command that it
    answers with an error."""

    here: bool = True
    state: Running | None = None
    refuses: str = ""
    stops_before_start: bool = False
    told: list[tuple[str, ...]] = field(default_factory=list)

    def is_here(self) -> bool:
        return self.here

    def start_commands(self, file: Path) -> tuple[tuple[str, ...], ...]:
        return (("manage", "enable", str(file)), ("manage", "restart", file.name))

    def stop_commands(self, file: Path) -> tuple[tuple[str, ...], ...]:
        return (("manage", "stop", file.name),)

    def after_removal(self) -> tuple[tuple[str, ...], ...]:
        return (("manage", "reload"),)

    def look_commands(self) -> tuple[tuple[str, ...], ...]:
        return (("manage", "status"),)

    def run(self, command: tuple[str, ...]) -> None:
        if self.refuses and self.refuses in command:
            raise ServiceError(f"{' '.join(command)}: no")
        self.told.append(command)

    def running(self) -> Running | None:
        return self.state if self.here else None


@pytest.fixture
def manager() -> FakeManager:
    """A service manager that runs, with nothing to run yet."""
    return FakeManager(state=Running(enabled=False, state="inactive"))


def machine_in(
    directory: Path, manager: FakeManager, kind: Kind = Kind.SYSTEMD, program: str = "inboxd"
) -> Machine:
    """Everything lies in a directory of the test."""
    command = directory / "bin" / program
    command.parent.mkdir(parents=True, exist_ok=True)
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    return Machine(
        kind=kind,
        program=command,
        prefixes=(Path("/usr"),),
        home=directory,
        directories={scope: directory / "units" / scope for scope in Scope},
        manager=lambda _scope: manager,
    )


@pytest.fixture
def machine(tmp_path: Path, manager: FakeManager) -> Machine:
    """A machine with systemd."""
    return machine_in(tmp_path, manager)


def config_in(
    directory: Path, *, name: str = "config.toml", account: Mapping[str, Any] | None = None,
    **sections: Mapping[str, Any],
) -> Config:  # fmt: skip
    """A configuration file (its text does not matter here) and what it would say."""
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    path.chmod(0o644)
    password = directory / "password"
    password.write_text("secret")
    settings = Settings.model_validate(
        {
            "state": {"dir": "/var/lib/inboxd"},
            **sections,
            "model": {"cache_dir": "/var/cache/inboxd", **sections.get("model", {})},
            "accounts": {
                "private": {
                    "host": "mail.example.org",
                    "username": "alice",
                    "password_file": password,
                    **(account or {}),
                }
            },
        }
    )
    return Config(settings, path)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """The usual one."""
    return config_in(tmp_path)
