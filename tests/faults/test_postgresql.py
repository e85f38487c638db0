"""The main job with the database on a PostgreSQL that is restarted in the middle of it.

Server, mail server, database and the command are the real ones; the encoder is a tiny BERT.
"""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.mails import FOLDERS, MAILS_PER_FOLDER, RENTAL, next_mails
from tests.e2e.world import World, new_world, wait_until
from tests.faults.world import QuickHome, accounts_status, launch, quick
from tests.support.dovecot import Dovecot
from tests.support.fork_server import ForkServer, Run
from tests.support.postgres import PASSWORD, Postgres, running_postgres, why_not

FIRST, SECOND, THIRD, FOURTH = next_mails("Travel", 4)
RENTALS = next_mails(RENTAL, 2)


@pytest.fixture
def mortal() -> Iterator[Postgres]:
    """A server that a test may stop."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with running_postgres() as running:
        yield running


@pytest.fixture
def on_postgres(
    mortal: Postgres, forks: ForkServer, encoder: Path, server: Dovecot, tmp_path: Path
) -> Iterator[World]:
    """An account with mail, and inboxd told to keep its database there; by a password."""
    world = quick(new_world(server, tmp_path, tmp_path / "cache"), forks, encoder)
    password = tmp_path / "database-password"
    password.write_text(f"{PASSWORD}\n")
    password.chmod(0o600)
    variables = {
        **world.home.variables,
        "INBOXD_STATE__DATABASE": mortal.network_url(mortal.new_database()),
        "INBOXD_STATE__DATABASE_PASSWORD_FILE": str(password),
    }
    assert isinstance(world.home, QuickHome)
    world.home = replace(world.home, variables=variables)
    world.file_archive()
    yield world
    world.close()


def count(world: World, what: str) -> int:
    """A figure of the account, 0 while the database is away."""
    done = world.home.run("status", "--json")
    if done.returncode != 0:
        return 0
    return int(accounts_status(world)[what])


def wait_for(run: Run, event: str) -> None:
    """Return when the daemon's log tells of an event."""
    wait_until(lambda: event in run.output() or run.poll() is not None, run.output)
    assert event in run.output(), run.output()


@pytest.mark.dovecot
def test_the_whole_loop_on_a_server_that_is_restarted(
    on_postgres: World, mortal: Postgres, tmp_path: Path
) -> None:
    """Learn, sort, crash of the database, sort, correct, learn anew, undo; then a backup is
    restored into SQLite and goes on."""
    world = on_postgres
    [learned] = world.home.json("learn")
    assert learned["refit"]["examples"] == MAILS_PER_FOLDER * len(FOLDERS)

    daemon = launch(world, "--log-level", "debug", "run")
    wait_for(daemon, "cycle.done")
    world.deliver([FIRST])
    wait_until(lambda: "INBOX" not in world.folders_of(FIRST), daemon.output)

    mortal.stop("immediate")
    world.deliver([SECOND])
    mails = world.mail_count()
    wait_for(daemon, "DatabaseUnreachable")
    assert world.folders_of(SECOND) == ["INBOX"]
    refused = world.home.run("status")
    assert refused.returncode == 4
    assert "cannot be reached" in refused.stderr
    assert PASSWORD not in refused.stdout + refused.stderr
    assert daemon.poll() is None
    mortal.start()
    wait_until(lambda: "INBOX" not in world.folders_of(SECOND), daemon.output)

    before = accounts_status(world)
    [place] = world.folders_of(SECOND)
    target = next(folder for folder in FOLDERS if folder != place)
    world.move(SECOND, place, target)
    wait_until(lambda: count(world, "examples") == before["examples"] + 1, daemon.output)
    wait_until(lambda: len(world.home.json("models", "list")) > 1, daemon.output)
    assert count(world, "overruled") == 1
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait() == 0, daemon.output()

    # The newer of the two was moved on by hand since, and stays where she wants it.
    undone = world.home.json("undo", "--last", "2")
    assert [each["undone"] for each in undone] == [False, True]
    assert world.folders_of(FIRST) == ["INBOX"]
    assert world.folders_of(SECOND) == [target]
    assert world.mail_count() == mails
    assert PASSWORD not in daemon.output()
    assert not world.home.database.exists()
    check_reports(world)
    check_the_way_to_sqlite(world, target, tmp_path)


def check_reports(world: World) -> None:
    """What says which database is in use says it without the password."""
    status = world.home.json("status")
    check = world.home.json("check")
    doctor = world.home.ok("doctor")
    assert status["database"].startswith("PostgreSQL at 127.0.0.1:")
    assert check["database"] == status["database"]
    assert "PostgreSQL 1" in doctor
    assert PASSWORD not in str(status) + str(check) + doctor


def check_the_way_to_sqlite(world: World, target: str, tmp_path: Path) -> None:
    """The archive is restored into SQLite, which knows everything, and sorts on; and back."""
    assert isinstance(world.home, QuickHome)
    world.home.ok("backup", str(tmp_path / "state.tar"))
    on_server = dict(world.home.variables)
    figures = accounts_status(world)
    variables = {key: value for key, value in on_server.items() if "DATABASE" not in key}
    world.home = replace(world.home, variables=variables)

    refused = world.home.run("status")
    assert refused.returncode == 4
    assert "database on a server" in refused.stderr
    world.home.ok("restore", str(tmp_path / "state.tar"), "--replace", "--was-stopped")
    assert accounts_status(world) == figures
    world.deliver([THIRD])
    [report] = world.home.json("run", "--once")
    assert (report["error"], report["sorted"]["seen"]) == ("", 1)
    assert report["observation"]["noticed"] == []
    assert world.folders_of(SECOND) == [target]
    check_the_way_back(world, on_server, tmp_path)


def check_the_way_back(world: World, on_server: dict[str, str], tmp_path: Path) -> None:
    """What the server still held is laid aside; row numbers and models fit again."""
    assert isinstance(world.home, QuickHome)
    world.home.ok("backup", str(tmp_path / "later.tar"))
    figures: dict[str, Any] = accounts_status(world)
    world.home = replace(world.home, variables=on_server)
    assert world.home.run("status").returncode == 4
    done = world.home.json("restore", str(tmp_path / "later.tar"), "--replace", "--was-stopped")
    assert accounts_status(world) == figures
    aside = Path(done["replaced"]) / "server.sqlite3"
    with closing(sqlite3.connect(aside)) as former:
        assert former.execute("SELECT count(*) FROM accounts").fetchone() == (1,)
    world.deliver([FOURTH])
    [report] = world.home.json("run", "--once")
    assert (report["error"], report["sorted"]["seen"]) == ("", 1)
    assert report["observation"]["noticed"] == []
