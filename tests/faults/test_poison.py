"""A mail that kills whoever reads it, with processes that really die of it."""

from __future__ import annotations

import signal

import pytest

from daemon.sorting.reading import MAX_ATTEMPTS
from tests.e2e.mails import next_mails
from tests.e2e.world import World
from tests.faults.world import accounts_status, launch
from tests.support.fork_server import POISON

pytestmark = pytest.mark.dovecot


def test_a_mail_that_kills_the_daemon_is_given_up(world: World) -> None:
    """Two processes die of it; the third leaves it in the inbox, says so, and its neighbours
    lie where they belong."""
    neighbours = next_mails("Travel", 2)
    poison = next_mails("Travel", 1, skip=2)[0].replace(b"Subject: ", b"Subject: Tollkirsche ")
    assert b"Tollkirsche" in poison
    world.deliver([neighbours[0], poison, neighbours[1]])
    arguments = ("run", "--once")
    deaths = [launch(world, *arguments, **{POISON: "Tollkirsche"}).wait() for _ in range(3)]
    assert deaths == [-signal.SIGKILL] * MAX_ATTEMPTS + [0]
    assert world.folders_of(poison) == ["INBOX"]
    assert [world.folders_of(mail) for mail in neighbours] == [["Travel"]] * 2
    assert accounts_status(world)["unreadable"] == 1
    world.home.ok(*arguments, **{POISON: "Tollkirsche"})
    assert world.folders_of(poison) == ["INBOX"]
