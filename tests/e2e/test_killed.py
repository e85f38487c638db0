"""kill -9 at the worst moments: between plan and move, and between move and record."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import NewWorld
from tests.e2e.mails import next_mails
from tests.e2e.world import DEADLINE_SECONDS, World, start_dovecot
from tests.support.dovecot import Dovecot
from tests.support.stalling_proxy import StallingProxy, When

MAILS = {folder: next_mails(folder, 3) for folder in ("Rechnungen", "Travel")}


@pytest.fixture(scope="module")
def server_without_move() -> Iterator[Dovecot]:
    """inboxd has to COPY and EXPUNGE here."""
    with start_dovecot(hidden=("MOVE",)) as running:
        yield running


def kill_at(world: World, command: bytes, when: When) -> None:
    """Start a pass over a connection that stalls, and kill it there."""
    with StallingProxy(world.server.port) as proxy:
        proxy.stall(command, when=when)
        process = world.home.start("run", "--once", INBOXD_ACCOUNTS__PRIVATE__PORT=str(proxy.port))
        stalled = proxy.stalled.wait(DEADLINE_SECONDS)
        process.kill()
        output, _ = process.communicate()
        assert stalled, f"{command!r} never came by\n{output}"


def assert_all_is_well(world: World) -> None:
    """Every mail in its folder once, the journal closed, nothing taken for a lesson."""
    for folder, mails in MAILS.items():
        assert [world.folders_of(mail) for mail in mails] == [[folder]] * 3
    assert world.rows("SELECT count(*) FROM moves WHERE state = 'planned'") == [(0,)]
    assert world.rows("SELECT count(*) FROM corrections") == [(0,)]
    assert world.rows("SELECT count(*) FROM examples") == [(80,)]
    assert world.rows("SELECT action, count(*) FROM decisions GROUP BY action") == [("moved", 6)]
    assert world.rows("SELECT count(DISTINCT message_id) FROM decisions") == [(6,)]


def test_killed_between_plan_and_move(world: World) -> None:
    """The server has not heard of it: the next pass decides anew, and moves."""
    world.deliver(mail for mails in MAILS.values() for mail in mails)
    before = world.mail_count()

    kill_at(world, b"UID MOVE", "before")
    untouched = world.mail_count()
    planned = world.rows("SELECT count(*) FROM moves WHERE state = 'planned'")
    [report] = world.home.json("run", "--once")

    assert planned == [(6,)]
    assert untouched == before
    assert world.mail_count() == before
    assert report["observation"]["noticed"] == []
    assert report["refit"] is None
    assert_all_is_well(world)


def test_killed_between_move_and_record(world: World) -> None:
    """The server has moved them, inboxd never knew: the next pass finds that out by looking."""
    world.deliver(mail for mails in MAILS.values() for mail in mails)
    before = world.mail_count()

    kill_at(world, b"UID MOVE", "after")
    left = len(world.inventory()["INBOX"])
    planned = world.rows("SELECT count(*) FROM moves WHERE state = 'planned'")
    [report] = world.home.json("run", "--once")

    assert (planned, left) == ([(6,)], 3)
    assert world.mail_count() == before
    assert report["observation"]["noticed"] == []
    assert report["refit"] is None
    assert_all_is_well(world)


def test_killed_again_and_again_while_copying(
    learned: World, server_without_move: Dovecot, copy_of: NewWorld
) -> None:
    """Without MOVE: after the copy, then before the originals go, then at last it gets there."""
    world = copy_of(learned, server_without_move)
    world.deliver(mail for mails in MAILS.values() for mail in mails)
    before = world.mail_count()

    kill_at(world, b"UID COPY", "after")
    doubled = world.mail_count().total() - before.total()
    kill_at(world, b"UID EXPUNGE", "before")
    [report] = world.home.json("run", "--once")

    assert doubled == 3
    assert world.mail_count() == before
    assert report["observation"]["noticed"] == []
    assert report["refit"] is None
    assert_all_is_well(world)
