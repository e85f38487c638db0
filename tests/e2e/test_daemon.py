"""`inboxd run` as a process of its own: it sorts while people work, and ends when told to."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator

import pytest

from tests.e2e.mails import RENTAL, next_mails
from tests.e2e.world import DEADLINE_SECONDS, World, wait_until

STOP_SECONDS = 5.0
"""What inboxd promises."""

ONLY_IDLE = {"INBOXD_ACCOUNTS__PRIVATE__POLL_SECONDS": "86400"}


class Daemon:
    """A running daemon and its log."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def log(self) -> str:
        """Everything it has said so far."""
        return "".join(self._lines)

    def wait_for(self, event: str) -> None:
        """Return when the log tells of an event."""
        wait_until(lambda: event in self.log or self.process.poll() is not None, lambda: self.log)
        assert event in self.log, f"the daemon ended\n{self.log}"

    def stop(self, seconds: float = DEADLINE_SECONDS) -> int:
        """SIGTERM; returns the exit code. Fails when it takes longer than `seconds`."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self._reader.join()
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self._lines.append(line)


@pytest.fixture
def daemons() -> Iterator[list[Daemon]]:
    """Whoever still runs after the test is killed."""
    started: list[Daemon] = []
    yield started
    for daemon in started:
        daemon.process.kill()
        daemon.process.wait()


def start(world: World, daemons: list[Daemon], **variables: str) -> Daemon:
    """Start the daemon for a world."""
    daemon = Daemon(world.home.start("--log-level", "debug", "run", **variables))
    daemons.append(daemon)
    daemon.wait_for("service.started")
    return daemon


def test_mail_is_sorted_as_it_comes_and_after_a_restart_of_the_server(
    world: World, daemons: list[Daemon]
) -> None:
    """Told by IDLE, with a day between polls; IDLE is taken up again when the server is back."""
    first, second = next_mails("Travel", 2)
    daemon = start(world, daemons, **ONLY_IDLE)
    daemon.wait_for("cycle.done")

    world.deliver([first])
    world.eventually(first, "Travel")
    world.dovecot.stop()
    daemon.wait_for("idle.lost")
    world.dovecot.start()
    world.another_client().append("INBOX", second)
    world.eventually(second, "Travel")

    assert world.home.json("status")["process"] == daemon.process.pid
    assert daemon.stop(STOP_SECONDS) == 0
    assert world.home.json("status")["running"] is False


def test_the_log_holds_no_text_of_mail_and_no_secret(world: World, daemons: list[Daemon]) -> None:
    """Even at its most talkative."""
    [mail] = next_mails("Travel", 1)
    daemon = start(world, daemons)

    world.deliver([mail])
    world.eventually(mail, "Travel")
    daemon.stop()

    assert "cycle.done" in daemon.log
    words = ("Nordwind", "nordwind-air.example", "booking", "Anja", "mails.example", "secret")
    assert [word for word in words if word.lower() in daemon.log.lower()] == []


def test_corrections_are_learnt_while_it_runs(world: World, daemons: list[Daemon]) -> None:
    """Noticed at the next poll, learnt once the person has paused, used for the next mail."""
    *rentals, next_rental = next_mails(RENTAL, 3)
    daemon = start(world, daemons, INBOXD_TRAINING__DEBOUNCE_SECONDS="1")
    world.deliver(rentals)
    for rental in rentals:
        world.eventually(rental, "Rechnungen")

    for rental in rentals:
        world.move(rental, "Rechnungen", "Travel")
    daemon.wait_for("train.done")
    wait_until(lambda: world.home.json("status")["accounts"]["private"]["examples"] == 82)
    world.deliver([next_rental])

    world.eventually(next_rental, "Travel")
    assert [world.folders_of(rental) for rental in rentals] == [["Travel"], ["Travel"]]


def test_only_one_daemon_works_on_a_state_directory(world: World, daemons: list[Daemon]) -> None:
    """The second one says who is there, and exits with 4; so does a single pass."""
    daemon = start(world, daemons)

    second = world.home.run("run")
    once = world.home.run("run", "--once")

    assert (second.returncode, once.returncode) == (4, 4)
    assert f"process {daemon.process.pid}" in second.stderr


def test_sigterm_ends_it_at_once_even_while_it_starts(world: World, daemons: list[Daemon]) -> None:
    """The encoder is being loaded then; the exit code is that of a good end."""
    world.deliver(next_mails("Travel", 1))
    daemon = start(world, daemons)

    assert daemon.stop(STOP_SECONDS) == 0
    assert "service.stopping" in daemon.log
