"""The server is killed, restarted or stands still while inboxd talks to it."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.e2e.mails import FOLDERS, next_mails
from tests.e2e.world import World, wait_until
from tests.faults.conftest import Scenario
from tests.faults.passes import finish
from tests.faults.scale import heavy, scaled, some
from tests.faults.world import Learned, launch
from tests.support.conservation import Books
from tests.support.dovecot import Dovecot
from tests.support.fault_proxy import Command, Fault, FaultProxy


def many_mails(count: int) -> list[bytes]:
    """Mail for all folders."""
    each = count // len(FOLDERS)
    return [mail for kind in FOLDERS for mail in next_mails(kind, each)]


def kill_sessions_when(server: Dovecot, user: str, begun: threading.Event, folder: Path) -> None:
    """SIGKILL the user's sessions as soon as something new lies in `folder`."""
    before = _files(folder)
    begun.set()
    while _files(folder) == before:
        threading.Event().wait(0.0005)
    for process in server.session_processes(user):
        os.kill(process, signal.SIGKILL)


def _files(maildir: Path) -> int:
    return sum(len(list((maildir / part).iterdir())) for part in ("cur", "new", "tmp"))


@pytest.mark.timeout(0)
@heavy  # whether the kill meets the move depends on what else the machine does
def test_the_server_process_is_killed_in_mid_move(
    world: World, server: Dovecot, scenario: Scenario
) -> None:
    """Hundreds of mails are on their way back (undo sends them in one MOVE): those that lie in
    both folders afterwards are finished, none is lost or doubled."""
    count = scaled(16, 500)
    mails = many_mails(count)
    books = Books(world)
    books.open()
    books.deliver(mails)
    finish(world)
    moved = [mail for mail in mails if world.folders_of(mail) != ["INBOX"]] if count < 50 else mails
    inbox = server.root / "home" / world.user / "Maildir"
    begun = threading.Event()
    killer = threading.Thread(
        target=kill_sessions_when, args=(server, world.user, begun, inbox), daemon=True
    )
    killer.start()
    assert begun.wait(30)

    world.home.run("undo", "--last", str(count))
    killer.join(60)
    books.nothing_lost()

    finish(world)
    world.home.run("undo", "--last", str(count))
    finish(world)
    books.close()
    assert len(world.inventory()["INBOX"]) == len(moved)
    scenario(f"server process killed in mid-MOVE of {count}")


@pytest.mark.timeout(0)
def test_the_server_restarts_during_idle_and_polls(
    learned: Learned, tmp_path: Path, scenario: Scenario
) -> None:
    """The daemon comes back by itself each time, and sorts what came meanwhile."""
    restarts = scaled(1, 10)
    mails = next_mails("Travel", restarts + 1)
    with Dovecot(users={"anja": "secret"}) as server, learned.copy(server, tmp_path) as world:
        books = Books(world)
        books.open()
        daemon = launch(world, "run")
        try:
            books.deliver(mails[:1])
            world.eventually(mails[0], "Travel")
            for mail in mails[1:]:
                server.stop()
                wait_until(lambda: "worker.failed" in daemon.output(), daemon.output)
                server.start()
                world.people.clear()
                world.__dict__.pop("person", None)
                books.deliver([mail])
                world.eventually(mail, "Travel")
            assert daemon.poll() is None, daemon.output()
        finally:
            daemon.kill()
        finish(world)
        books.close()
        scenario("server restarted during IDLE and polls", runs=restarts)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("command", some([Command.MOVE, Command.COPY], [Command.MOVE]))
def test_the_server_stands_still_and_goes_on(
    command: Command,
    learned: Learned,
    server: Dovecot,
    server_without_move: Dovecot,
    tmp_path: Path,
    scenario: Scenario,
) -> None:
    """SIGSTOP for longer than the time-out, SIGCONT after inboxd has given up: the command that
    waited in the server runs late."""
    used = server_without_move if command is Command.COPY else server
    with learned.copy(used, tmp_path) as world, FaultProxy(used.port) as proxy:
        world.deliver(many_mails(10))
        books = Books(world)
        books.open()
        proxy.spoil(command, Fault.LATE)
        run = launch(world, "run", "--once", INBOXD_ACCOUNTS__PRIVATE__PORT=str(proxy.port))
        wait_until(proxy.struck.is_set, run.output)
        stopped = used.session_processes(world.user)
        for process in stopped:
            os.kill(process, signal.SIGSTOP)
        proxy.released.set()

        assert run.wait() == 5
        for process in stopped:
            os.kill(process, signal.SIGCONT)
        assert proxy.arrived.wait(60)
        books.nothing_lost()

        finish(world)
        books.close()
        assert world.rows("SELECT count(*) FROM corrections") == [(0,)]
        scenario(
            f"SIGSTOP longer than the time-out during {command.name}, then SIGCONT",
            f"Dovecot maildir{' without MOVE' if command is Command.COPY else ''}",
        )
