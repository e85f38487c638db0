"""A world of `tests.e2e` made quick enough for hundreds of runs.

The encoder is a tiny BERT, the mail was learnt from once and is copied with its database and
models, and the command runs in processes forked from one that has imported everything. Server,
database, model files and the command are the real ones.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.world import World, copy_state, copy_world, new_world
from tests.support.command import Home
from tests.support.dovecot import Dovecot
from tests.support.fork_server import ForkServer, Run

TIMEOUT_SECONDS = 8
"""inboxd's time-out for one answer here: long enough for a busy machine, short enough for the
faults in which only the time-out helps."""


@dataclass(frozen=True)
class QuickHome(Home):
    """A home whose commands are forked."""

    forks: ForkServer | None = None

    def run(
        self, *arguments: str, typed: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        assert not typed, "forked commands have no standard input"
        run = self.launch(*arguments, **variables)
        code = run.wait()
        return subprocess.CompletedProcess(
            arguments, code, run.stdout.read_text(), run.stderr.read_text()
        )

    def launch(self, *arguments: str, **variables: str) -> Run:
        """Start the command and leave it running."""
        assert self.forks is not None
        return self.forks.start(arguments, self.environment(variables), self.root)


def quick(world: World, forks: ForkServer, encoder: Path) -> World:
    """The same world with a quick home."""
    variables = {
        "INBOXD_MODEL__ENCODER": str(encoder),
        "INBOXD_MODEL__DEVICE": "cpu",
        "INBOXD_ACCOUNTS__PRIVATE__TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
    }
    world.home = QuickHome(world.home.root, world.home.cache_dir, variables, forks=forks)
    return world


def launch(world: World, *arguments: str, **variables: str) -> Run:
    """Start the command in a quick world."""
    assert isinstance(world.home, QuickHome)
    return world.home.launch(*arguments, **variables)


@dataclass
class Learned:
    """The account that was learnt from, and what copies of it need."""

    world: World
    forks: ForkServer
    encoder: Path

    @contextmanager
    def copy(self, server: Dovecot, root: Path) -> Iterator[World]:
        """The same mail and knowledge under another account, closed at the end."""
        world = quick(copy_world(self.world, server, root), self.forks, self.encoder)
        try:
            yield world
        finally:
            world.close()


def learn_once(server: Dovecot, root: Path, forks: ForkServer, encoder: Path) -> Learned:
    """File the archive of `tests.e2e.mails` and learn from it, twice, so that there is a
    model to fall back to."""
    world = quick(new_world(server, root, root / "cache"), forks, encoder)
    world.file_archive()
    world.learned = world.home.json("learn")
    return Learned(world, forks, encoder)


__all__ = ["Learned", "QuickHome", "copy_state", "launch", "learn_once", "quick"]


def accounts_status(world: World) -> dict[str, Any]:
    """`inboxd status --json` of the account."""
    found: dict[str, Any] = world.home.json("status")["accounts"]["private"]
    return found
