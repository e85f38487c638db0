"""What a service is made of, before anybody has written it down for systemd or launchd."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

LABEL = "inboxd"
"""Name of the unit and of the system's user."""

PROGRAM_MB = 2048
"""Memory for the daemon itself: encoder, libraries, 6,000 examples while they are fitted."""

STATE_ROOT = Path("/var/lib")
CACHE_ROOT = Path("/var/cache")
"""Where systemd makes a service's directories (StateDirectory=, CacheDirectory=)."""

HIDDEN = tuple(Path(p) for p in ("/home", "/root", "/run/user", "/tmp", "/var/tmp"))  # noqa: S108 - named because the service does not see them  # nosec B108
"""What a service of the system does not see: ProtectHome= and PrivateTmp=."""


class Scope(enum.StrEnum):
    """Whose service it is."""

    USER = "user"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """Everything that the file of a service depends on; all paths are absolute."""

    scope: Scope
    program: Path
    """The `inboxd` command."""
    config: Path
    state_dir: Path
    cache_dir: Path
    credentials: tuple[tuple[str, Path], ...] = ()
    """Name of a credential and the file that holds it; in the system's scope alone, as a user's
    service reads the user's files."""
    memory_mb: int = PROGRAM_MB
    uses_cuda: bool = False

    @property
    def command(self) -> tuple[str, ...]:
        """What is started."""
        return (str(self.program), "--config", str(self.config), "run")


def is_hidden(path: Path) -> bool:
    """Whether a service of the system would not see `path`, or what it leads to."""
    return any(each.is_relative_to(place) for each in (path, path.resolve()) for place in HIDDEN)
