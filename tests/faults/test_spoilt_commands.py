"""One command of a pass is spoilt, in every way that a network or a server can spoil it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.e2e.mails import next_mails, stranger
from tests.e2e.world import World, wait_until
from tests.faults.conftest import Scenario
from tests.faults.passes import finish
from tests.faults.scale import some
from tests.faults.world import Learned, launch
from tests.support.conservation import Books
from tests.support.dovecot import Dovecot
from tests.support.fault_proxy import Command, Fault, FaultProxy

MAILS = {folder: next_mails(folder, 3) for folder in ("Rechnungen", "Travel")}
NEEDS_COPY = frozenset({Command.COPY, Command.STORE, Command.EXPUNGE})
EXPECTED_CODES = frozenset({0, 5})
"""A pass over a spoilt connection goes well all the same, or says that the server is to blame."""

PASSES = list(
    itertools.product([command for command in Command if command is not Command.IDLE], Fault)
)
IDLES = [fault for fault in Fault if fault is not Fault.REFUSED]
QUICK = [
    (Command.MOVE, Fault.LATE),
    (Command.MOVE, Fault.REFUSED_BUT_DONE),
    (Command.COPY, Fault.CUT_AFTER),
    (Command.STORE, Fault.GARBAGE),
    (Command.EXPUNGE, Fault.BYE),
    (Command.FETCH, Fault.WRONG_LITERAL),
    (Command.SELECT, Fault.REPLY_TRUNCATED),
    (Command.LOGIN, Fault.REFUSED),
]


def through(proxy: FaultProxy) -> dict[str, str]:
    """Settings that lead a run over the proxy."""
    return {"INBOXD_ACCOUNTS__PRIVATE__PORT": str(proxy.port)}


@pytest.mark.parametrize(
    ("command", "fault"), some(PASSES, QUICK), ids=lambda value: value.name.lower()
)
def test_a_spoilt_command_loses_doubles_and_alters_nothing(
    command: Command,
    fault: Fault,
    learned: Learned,
    server: Dovecot,
    server_without_move: Dovecot,
    tmp_path: Path,
    scenario: Scenario,
) -> None:
    """The spoilt pass ends with a clear word, the next ones finish, and the books balance."""
    used = server_without_move if command in NEEDS_COPY else server
    hidden = " without MOVE" if command in NEEDS_COPY else ""
    scenario(f"{command.name}: {fault.value}", f"Dovecot maildir{hidden}")
    with learned.copy(used, tmp_path) as world, FaultProxy(used.port) as proxy:
        world.deliver([*(mail for mails in MAILS.values() for mail in mails), stranger()])
        books = Books(world)
        books.open()
        proxy.spoil(command, fault)

        run = world.home.run("run", "--once", **through(proxy))
        assert proxy.struck.is_set(), run
        assert run.returncode in EXPECTED_CODES, run
        assert "Traceback" not in run.stdout + run.stderr
        books.nothing_lost()
        if fault is Fault.LATE:
            proxy.release()
            books.nothing_lost()

        finish(world)
        books.close()
        assert world.rows("SELECT count(*) FROM corrections") == [(0,)]
        if fault is not Fault.REFUSED or command not in NEEDS_COPY | {Command.MOVE}:
            for folder, mails in MAILS.items():
                assert [world.folders_of(mail) for mail in mails] == [[folder]] * 3


@pytest.mark.parametrize("command", some([Command.MOVE, Command.COPY], [Command.COPY]))
def test_a_command_that_runs_after_the_next_pass_doubles_nothing(
    command: Command,
    learned: Learned,
    server: Dovecot,
    server_without_move: Dovecot,
    tmp_path: Path,
    scenario: Scenario,
) -> None:
    """inboxd has given the command up and gone on when the server carries it out at last."""
    used = server_without_move if command is Command.COPY else server
    hidden = " without MOVE" if command is Command.COPY else ""
    scenario(f"{command.name}: reaches the server after the next pass", f"Dovecot maildir{hidden}")
    with learned.copy(used, tmp_path) as world, FaultProxy(used.port) as proxy:
        world.deliver(mail for mails in MAILS.values() for mail in mails)
        books = Books(world)
        books.open()
        proxy.spoil(command, Fault.LATE)
        assert world.home.run("run", "--once", **through(proxy)).returncode == 5

        world.home.run("run", "--once")
        proxy.release()
        finish(world)

        books.close()
        assert world.rows("SELECT count(*) FROM corrections") == [(0,)]


@pytest.mark.parametrize(
    "fault", some(IDLES, [Fault.GARBAGE]), ids=lambda value: value.name.lower()
)
def test_a_spoilt_idle_costs_nothing_but_time(
    fault: Fault, world: World, scenario: Scenario
) -> None:
    """The daemon goes on: mail that comes afterwards is sorted, and all others stay as they
    were."""
    scenario(f"IDLE: {fault.value}")
    [first, second] = next_mails("Travel", 2)
    books = Books(world)
    books.open()
    with FaultProxy(world.server.port) as proxy:
        proxy.spoil(Command.IDLE, fault)
        daemon = launch(world, "run", **through(proxy))
        try:
            wait_until(proxy.struck.is_set, daemon.output)
            books.deliver([first])
            world.eventually(first, "Travel")
            proxy.released.set()
            books.deliver([second])
            world.eventually(second, "Travel")
            assert daemon.poll() is None, daemon.output()
        finally:
            daemon.kill()
    finish(world)
    books.close()
