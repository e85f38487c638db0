"""Clocks that jump, and mail from 1970 and 2038."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from daemon.mail.parse import parse
from daemon.store.tables import Action
from tests.faults.conftest import Scenario
from tests.sorting.world import World, mail

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[World]:
    """An account on the fake server, looked at once."""
    world = World(tmp_path)
    world.notice()
    yield world
    world.store.close()


@pytest.mark.parametrize(
    "jump",
    [timedelta(days=-400), timedelta(hours=-1), timedelta(hours=1), timedelta(days=4000)],
    ids=str,
)
def test_a_clock_that_jumps_moves_nothing_twice(
    jump: timedelta, small: World, scenario: Scenario
) -> None:
    """Between two passes the clock is put back or forward: what was decided, stays, and what a
    person puts back, too."""
    small.deliver("Rechnungen 1", "Rechnungen 2", "Hallo 1")
    before = small.mails()
    small.cycle()
    small.now += jump
    small.move("Rechnungen 2", "INBOX")
    small.cycle()
    small.now -= jump
    small.cycle()

    assert small.mails() == before
    assert small.where("Rechnungen 1") == ["Rechnungen"]
    assert small.where("Rechnungen 2") == ["INBOX"]
    assert small.corrections() == [("put_back", "Rechnungen", "INBOX")]
    small.believes()
    scenario("the clock jumps", "fake mailbox")


@pytest.mark.parametrize("year", [1970, 2038])
def test_mail_dated_at_the_ends_of_time_is_sorted(
    year: int, small: World, scenario: Scenario
) -> None:
    """The sender's Date says nothing about when it arrived: 1970, and beyond 2^31 seconds."""
    subject = f"Rechnungen {year}"
    dated = mail(subject).replace(b"1 Mar 2026", b"19 Feb %d" % year)
    small.server.append("INBOX", dated)

    small.cycle()

    assert small.where(subject) == ["Rechnungen"]
    assert parse(dated).date == datetime(year, 2, 19, 9, tzinfo=UTC)
    assert [d.action for d in small.decisions()] == [Action.MOVED]
    scenario("mail dated 1970 or 2038", "fake mailbox")


def test_a_server_date_beyond_2038_is_kept(small: World, scenario: Scenario) -> None:
    """INTERNALDATE after 2^31 seconds goes through the database unharmed."""
    late = datetime(2038, 2, 19, 3, 14, 8, tzinfo=UTC)
    small.server.append("INBOX", mail("Rechnungen 1"), internal_date=late)

    small.cycle()

    [placement] = small.placements("Rechnungen")
    assert placement.message.internal_date == late
    scenario("INTERNALDATE beyond 2038", "fake mailbox")


@pytest.mark.parametrize(
    "night", [datetime(2026, 3, 29, tzinfo=BERLIN), datetime(2026, 10, 25, tzinfo=BERLIN)], ids=str
)
def test_a_pass_in_the_night_of_daylight_saving(
    night: datetime, small: World, scenario: Scenario
) -> None:
    """The hour that is missing and the hour that comes twice: times are kept in UTC."""
    small.now = night.astimezone(UTC)
    small.deliver("Rechnungen 1")
    before = small.mails()
    for _ in range(8):
        small.now += timedelta(minutes=30)
        local = small.now.astimezone(BERLIN)
        small.now = local.astimezone(UTC)
        small.cycle()

    assert small.mails() == before
    assert small.where("Rechnungen 1") == ["Rechnungen"]
    moments = [move.planned_at for move in small.moves()]
    assert all(moment.tzinfo is UTC for moment in moments)
    scenario("daylight saving", "fake mailbox")
