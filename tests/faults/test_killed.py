"""kill -9 at random moments: while sorting, training, promoting and migrating."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest

from tests.e2e.mails import FOLDERS, next_mails
from tests.faults.conftest import Scenario
from tests.faults.passes import finish
from tests.faults.scale import scaled
from tests.faults.world import Learned, launch
from tests.support.conservation import Books
from tests.support.dovecot import Dovecot
from tests.support.fork_server import Run

MAILS_PER_KILL = 2
"""Per folder, so that there is always something to do."""

KILLS_PER_BALANCE = 5


def kill_within(run: Run, seconds: float, chance: random.Random) -> bool:
    """Kill a run at a random moment; whether it was still alive then."""
    threading.Event().wait(chance.uniform(0.0, seconds))
    alive = run.poll() is None
    run.kill()
    return alive


@pytest.mark.timeout(0)
@pytest.mark.parametrize("hidden", ["", "MOVE"], ids=["move", "copy"])
def test_killed_at_random_moments_of_sorting(
    hidden: str,
    learned: Learned,
    server: Dovecot,
    server_without_move: Dovecot,
    tmp_path: Path,
    scenario: Scenario,
) -> None:
    """Whatever it was doing: nothing is missing, and the next pass brings all to its place."""
    kills = scaled(2, 100)
    chance = random.Random(f"kills{hidden}")  # noqa: S311 - the same every time
    with learned.copy(server_without_move if hidden else server, tmp_path) as world:
        books = Books(world)
        books.open()
        delivered = 0

        def deliver() -> None:
            nonlocal delivered
            kinds = (next_mails(kind, MAILS_PER_KILL, skip=delivered) for kind in FOLDERS)
            books.deliver(mail for mails in kinds for mail in mails)
            delivered += MAILS_PER_KILL

        deliver()
        started = time.monotonic()
        finish(world)
        seconds = time.monotonic() - started
        done = 0
        while done < kills:
            deliver()
            done += kill_within(launch(world, "run", "--once"), seconds / 2, chance)
            books.nothing_lost()
            if done % KILLS_PER_BALANCE == 0:
                finish(world)
                books.close()
        finish(world)
        books.close()
        assert world.rows("SELECT count(*) FROM corrections") == [(0,)]
        server_name = f"Dovecot maildir{' without MOVE' if hidden else ''}"
        scenario("kill -9 at a random moment of sorting", server_name, done)


@pytest.mark.timeout(0)
def test_killed_while_training_and_promoting(
    learned: Learned, server: Dovecot, tmp_path: Path, scenario: Scenario
) -> None:
    """There is always a whole model in use, and it sorts."""
    kills = scaled(1, 20)
    chance = random.Random("training")  # noqa: S311 - the same every time
    with learned.copy(server, tmp_path) as world:
        books = Books(world)
        books.open()
        started = time.monotonic()
        world.home.ok("train")
        seconds = time.monotonic() - started
        done = 0
        while done < kills:
            done += kill_within(launch(world, "train"), seconds, chance)
            models = world.home.json("status")["accounts"]["private"]
            assert models["model"] is not None
            assert models["notice"] is None, models["notice"]
        books.deliver(next_mails("Travel", 2))
        finish(world)
        books.close()
        assert [world.folders_of(mail) for mail in next_mails("Travel", 2)] == [["Travel"]] * 2
        scenario("kill -9 during training and promotion", runs=done)


@pytest.mark.timeout(0)
def test_killed_while_migrating(
    learned: Learned, server: Dovecot, tmp_path: Path, scenario: Scenario
) -> None:
    """A database that is half made is finished by the next start."""
    kills = scaled(1, 20)
    chance = random.Random("migration")  # noqa: S311 - the same every time
    with learned.copy(server, tmp_path) as world:
        started = time.monotonic()
        world.home.ok("status")
        seconds = time.monotonic() - started
        for number in range(kills):
            fresh = {"INBOXD_STATE__DIR": str(tmp_path / f"state{number}")}
            kill_within(launch(world, "status", **fresh), seconds, chance)
            state = world.home.json("status", **fresh)
            assert state["accounts"]["private"]["state"] == "new"
        scenario("kill -9 during migration", "no server", kills)
