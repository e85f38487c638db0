"""`inboxd demo`: the whole loop, with the daemon's own code, on a mailbox made for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from daemon.demo import chapters
from daemon.demo.interrupts import Interrupts
from daemon.demo.mails import load_samples
from daemon.demo.person import Person
from daemon.demo.play import Play
from daemon.demo.screen import Screen
from daemon.demo.server import MailServer
from daemon.demo.stage import ACCOUNT, CONFIG_NAME, application, temporary_directory
from daemon.demo.watch import Watcher
from daemon.locks import instance_lock
from daemon.logs import configure_logging
from daemon.service import Service
from daemon.use_cases.application import Application

_SHUT_DOWN_ATTEMPTS = 4
"""Each waits a few seconds for the daemon to finish the step that it is in."""


def run_demo(console: Console, *, keep: bool) -> int:
    """Play the demo on `console`; returns the exit code (130 after Ctrl-C).

    All state is temporary; with `keep` its directory stays. Raises `InboxdError`.
    """
    configure_logging("warning", "console")
    screen = Screen(console)
    with Interrupts() as interrupts:
        try:
            with temporary_directory(keep=keep) as directory:
                try:
                    _everything(screen, directory, interrupts)
                finally:
                    interrupts.over()
                    if keep:
                        _say_where(screen, directory)
        except KeyboardInterrupt:
            kept = "its directory is kept" if keep else "nothing of the demo is left"
            screen.say(f"\nInterrupted; {kept}.")
            return interrupts.exit_code
    return 0


def _everything(screen: Screen, directory: Path, interrupts: Interrupts) -> None:
    started = time.monotonic()
    screen.title(
        "inboxd demo",
        "A mail server, a mailbox and a daemon, all on this machine and all temporary. "
        "Ctrl-C ends it at any time.",
    )
    samples = load_samples()
    with MailServer() as server, _person(server) as person:
        chapters.fill(screen, samples, server, person)
        with application(directory, server) as app:
            play = Play(screen, app, samples, person, Watcher(app, ACCOUNT))
            chapters.learn_from_folders(play)
            with _daemon(app, screen):
                chapters.sort_new_mail(play)
                moves = chapters.disagree(play)
                chapters.learn_from_moves(play, moves)
                chapters.summarise(play, time.monotonic() - started)
                interrupts.over()


def _person(server: MailServer) -> Person:
    return Person(server.host, server.port, server.user, server.password)


@contextmanager
def _daemon(app: Application, screen: Screen) -> Iterator[None]:
    """The daemon as `inboxd run` starts it, in threads of this process."""
    with instance_lock(app.state_dir):
        service = Service(app)
        service.start()
        try:
            yield
        finally:
            with screen.waiting("Stopping the daemon …"):
                any(service.shut_down() for _ in range(_SHUT_DOWN_ATTEMPTS))


def _say_where(screen: Screen, directory: Path) -> None:
    config = directory / CONFIG_NAME
    # Whole lines, however long: they are there to be copied.
    screen.console.print(f"\nKept: {directory}", markup=False, soft_wrap=True)
    command = f"inboxd --config {config} history"
    screen.console.print(f"Look into it with: {command}", markup=False, soft_wrap=True)
