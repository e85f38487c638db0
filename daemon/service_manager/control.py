"""The running service manager behind a port: systemd by systemctl, launchd by launchctl."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from daemon.errors import ServiceError
from daemon.service_manager import launchd
from daemon.service_manager.plan import Scope
from daemon.service_manager.systemd import UNIT

PATIENCE_SECONDS = 700.0
"""A start waits until the daemon is ready, which systemd gives ten minutes."""


@dataclass(frozen=True, slots=True)
class Running:
    """What a service manager says of the service; `status` is the daemon's own word."""

    enabled: bool
    state: str
    process: int | None = None
    status: str = ""


class Manager(Protocol):
    """A service manager of this machine, for one scope."""

    stops_before_start: bool
    """Whether a service in use has to be stopped before it takes a new file."""

    def is_here(self) -> bool:
        """Whether it runs, so that a service can be started."""
        ...

    def start_commands(self, file: Path) -> tuple[tuple[str, ...], ...]:
        """What a person would type to have the service of `file` from now on."""
        ...

    def stop_commands(self, file: Path) -> tuple[tuple[str, ...], ...]:
        """The same, to have it stopped for good, before the file goes."""
        ...

    def after_removal(self) -> tuple[tuple[str, ...], ...]:
        """The same, after it went."""
        ...

    def look_commands(self) -> tuple[tuple[str, ...], ...]:
        """How to look at the service."""
        ...

    def run(self, command: tuple[str, ...]) -> None:
        """Raises `ServiceError`."""
        ...

    def running(self) -> Running | None:
        """None when the manager is not here."""
        ...


class Systemd:
    """systemctl(1)."""

    stops_before_start = False

    def __init__(self, scope: Scope) -> None:
        self._is_user = scope is Scope.USER
        self._systemctl = ("systemctl", "--user") if self._is_user else ("systemctl",)

    def is_here(self) -> bool:
        """sd_booted(3) for the system; a user's manager has a directory of its own."""
        if shutil.which("systemctl") is None or not Path("/run/systemd/system").is_dir():
            return False
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        return not self._is_user or (bool(runtime) and (Path(runtime) / "systemd").is_dir())

    def start_commands(self, file: Path) -> tuple[tuple[str, ...], ...]:
        """Also right for a new version of a file that is in use."""
        return (
            (*self._systemctl, "daemon-reload"),
            (*self._systemctl, "enable", file.name),
            (*self._systemctl, "restart", file.name),
        )

    def stop_commands(self, file: Path) -> tuple[tuple[str, ...], ...]:
        """Stops it too."""
        return ((*self._systemctl, "disable", "--now", file.name),)

    def after_removal(self) -> tuple[tuple[str, ...], ...]:
        """systemd forgets the unit."""
        return ((*self._systemctl, "daemon-reload"),)

    def look_commands(self) -> tuple[tuple[str, ...], ...]:
        """State and log."""
        journal = ("journalctl", "--user") if self._is_user else ("journalctl",)
        return (
            (*self._systemctl, "status", UNIT),
            (*journal, "--unit", UNIT, "--follow"),
        )

    def run(self, command: tuple[str, ...]) -> None:
        """Raises `ServiceError`."""
        _run(command)

    def running(self) -> Running | None:
        """What `systemctl show` says."""
        if not self.is_here():
            return None
        properties = "UnitFileState,ActiveState,MainPID,StatusText"
        shown = _run((*self._systemctl, "show", f"--property={properties}", UNIT))
        values = dict(line.partition("=")[::2] for line in shown.splitlines())
        process = values.get("MainPID", "")
        return Running(
            enabled=values.get("UnitFileState", "").startswith("enabled"),
            state=values.get("ActiveState") or "unknown",
            process=int(process) if process.isdecimal() and int(process) else None,
            status=values.get("StatusText", ""),
        )


class Launchd:
    """launchctl(1), for the agents of the user who is logged in."""

    stops_before_start = True

    def __init__(self, home: Path) -> None:
        self._domain = f"gui/{os.getuid()}"
        self._log = launchd.log_file(home)

    def is_here(self) -> bool:
        """On every macOS, and nowhere else."""
        return shutil.which("launchctl") is not None

    def start_commands(self, file: Path) -> tuple[tuple[str, ...], ...]:
        """Loads it, and RunAtLoad starts it."""
        return (("launchctl", "bootstrap", self._domain, str(file)),)

    def stop_commands(self, file: Path) -> tuple[tuple[str, ...], ...]:
        """Known by the label, whatever the file says by now."""
        del file
        return (("launchctl", "bootout", f"{self._domain}/{launchd.LABEL}"),)

    def after_removal(self) -> tuple[tuple[str, ...], ...]:
        """Nothing is left."""
        return ()

    def look_commands(self) -> tuple[tuple[str, ...], ...]:
        """State and log."""
        return (
            ("launchctl", "print", f"{self._domain}/{launchd.LABEL}"),
            ("tail", "-f", str(self._log)),
        )

    def run(self, command: tuple[str, ...]) -> None:
        """Raises `ServiceError`."""
        _run(command)

    def running(self) -> Running | None:
        """`launchctl print` is for people; that it finds the agent is all that is read."""
        if not self.is_here():
            return None
        try:
            _run(("launchctl", "print", f"{self._domain}/{launchd.LABEL}"))
        except ServiceError:
            return Running(enabled=False, state="inactive")
        return Running(enabled=True, state="active")


def _run(command: tuple[str, ...]) -> str:
    line = " ".join(command)
    try:
        done = subprocess.run(  # noqa: S603 - our own words, and a path of ours
            command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceError(
            f"{line}: {type(error).__name__}", next_step=f"Run it yourself: {line}"
        ) from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().replace("\n", " ")
        raise ServiceError(
            f"{line}: {said or f'exit code {done.returncode}'}",
            next_step=f"Run it yourself: {line}",
        )
    return done.stdout
